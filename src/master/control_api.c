/*
 * control_api.c - what operators ask, answered from the state.  Paths, fields
 * and statuses: product reference, section 3.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/peer.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "master/control.h"

enum {
	CALL_LEADER	= 1	/* only the leader can answer */
};

struct route {
	const char	*method;
	const char	*path;		/* a '*' at the end: any rest */
	unsigned	 flags;
	/* The status; *out is the body (NULL: {}), the caller's. */
	int		(*fn)(struct control_call *, struct json_object **out);
};

static int
say(struct json_object **out, int status, const char *text)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "Error", json_object_new_string(text));
	return status;
}

/* ---- masters ----------------------------------------------------------------------- */

static int
get_masters(struct control_call *call, struct json_object **out)
{
	struct control		*c = call->c;
	struct json_object	*masters, *list, *e;
	const char		*leader = control_leader_id(c);

	list = json_object_new_array();
	masters = control_state_at(c, "masters", NULL);
	if (json_object_is_type(masters, json_type_object)) {
		json_object_object_foreach(masters, id, endpoint) {
			e = json_object_new_object();
			json_object_object_add(e, "id",
			    json_object_new_string(id));
			json_object_object_add(e, "endpoint",
			    json_object_get(endpoint));
			json_object_object_add(e, "leader",
			    json_object_new_boolean(leader != NULL &&
			    strcmp(id, leader) == 0));
			json_object_array_add(list, e);
		}
	}
	*out = json_object_new_object();
	json_object_object_add(*out, "masters", list);
	return 200;
}

/* All masters' endpoints, ours as --master.endpoint says first. */
static int
get_endpoints(struct control_call *call, struct json_object **out)
{
	struct control		*c = call->c;
	const char *const	*p = c->conf->master_endpoints;
	struct json_object	*masters, *list = json_object_new_array();

	for (; p != NULL && *p != NULL; p++)
		json_object_array_add(list, json_object_new_string(*p));
	masters = control_state_at(c, "masters", NULL);
	if (json_object_array_length(list) == 0 &&
	    json_object_is_type(masters, json_type_object)) {
		json_object_object_foreach(masters, id, endpoint) {
			(void)id;
			json_object_array_add(list, json_object_get(endpoint));
		}
	}
	if (json_object_array_length(list) == 0)
		json_object_array_add(list,
		    json_object_new_string(c->conf->server_endpoint));
	*out = json_object_new_object();
	json_object_object_add(*out, "endpoints", list);
	return 200;
}

static int
get_leader_endpoint(struct control_call *call, struct json_object **out)
{
	const char		*leader = control_leader_endpoint(call->c);
	struct json_object	*list = json_object_new_array();

	if (leader != NULL)
		json_object_array_add(list, json_object_new_string(leader));
	*out = json_object_new_object();
	json_object_object_add(*out, "endpoints", list);
	return 200;
}

static int
get_workers(struct control_call *call, struct json_object **out)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "workers", json_object_new_array());
	return 200;
}

/* There are none while nothing is synchronised; the key is absent then. */
static int
get_tasks(struct control_call *call, struct json_object **out)
{
	return 200;
}

/* What is wrong with the agency, as far as we know. */
static int
say_away(const struct control *c, struct json_object **out)
{
	char	*text;

	text = xasprintf("the agency cannot be reached%s%s",
	    c->trouble != 0 ? ": " : "", c->trouble != 0 ? c->why.text : "");
	say(out, 503, text);
	free(text);
	return 503;
}

static int
get_health(struct control_call *call, struct json_object **out)
{
	struct control	*c = call->c;

	if (c->seen_ms == 0 ||
	    loop_now_ms(c->loop) - c->seen_ms > CONTROL_AWAY_MS)
		return say_away(c, out);
	if (control_leader_id(c) == NULL)
		return say(out, 503, "there is no leader");
	return 200;
}

/* ---- message timeout ---------------------------------------------------------------- */

static int
get_message_timeout(struct control_call *call, struct json_object **out)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "messageTimeout",
	    json_object_new_int64(control_message_timeout_ns(call->c)));
	return 200;
}

/* The body as an object, or NULL. */
static struct json_object *
body_of(struct control_call *call)
{
	struct json_object	*o = NULL;

	if (call->body.len == 0)
		return json_object_new_object();
	if (json_parse((const char *)call->body.data, call->body.len, &o,
	    NULL) != 0)
		return NULL;
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = NULL;
	}
	return o;
}

static int
put_message_timeout(struct control_call *call, struct json_object **out)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*o = body_of(call), *v;
	struct err_msg		 m = { "" };
	int			 r;

	if (o == NULL || !json_object_object_get_ex(o, "messageTimeout", &v) ||
	    !json_object_is_type(v, json_type_int) ||
	    json_object_get_int64(v) <= 0) {
		json_object_put(o);
		return say(out, 400, "messageTimeout must be a number of "
		    "nanoseconds above 0: bad request");
	}
	if (call->c->agency == NULL) {
		json_object_put(o);
		return say_away(call->c, out);
	}
	agency_trx_set(&t, CONTROL_ROOT "/x/messageTimeout", v, 0);
	r = arango_agency_write(call->c->agency, &t, NULL, &m);
	agency_trx_free(&t);
	json_object_put(o);
	if (r != 0)
		return say(out, 503, m.text);
	/* Who asks for it now gets what was set. */
	control_look(call->c);
	return 200;
}

/* ---- synchronisation ------------------------------------------------------------------ */

static int
get_sync(struct control_call *call, struct json_object **out)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "source", json_object_new_array());
	json_object_object_add(*out, "status",
	    json_object_new_string("inactive"));
	return 200;
}

static const char *
string_at(struct json_object *o, const char *name)
{
	struct json_object	*v;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v) ||
	    !json_object_is_type(v, json_type_string) ||
	    json_object_get_string_len(v) == 0)
		return NULL;
	return json_object_get_string(v);
}

/* What is wrong with a request to configure, as the original says it. */
static const char *
configure_fault(struct json_object *o)
{
	struct json_object	*source, *auth = NULL;

	if (!json_object_object_get_ex(o, "source", &source) ||
	    !json_object_is_type(source, json_type_array) ||
	    json_object_array_length(source) == 0)
		return "source missing: bad request";
	json_object_object_get_ex(o, "authentication", &auth);
	if (string_at(auth, "clientCertificate") == NULL)
		return "clientCertificate missing: bad request";
	if (string_at(auth, "clientKey") == NULL)
		return "clientKey missing: bad request";
	if (string_at(auth, "caCertificate") == NULL)
		return "caCertificate missing: bad request";
	return NULL;
}

static int
post_sync(struct control_call *call, struct json_object **out)
{
	struct json_object	*o = body_of(call);
	const char		*fault;

	fault = o == NULL ? "the body is not a JSON object: bad request" :
	    configure_fault(o);
	json_object_put(o);
	if (fault != NULL)
		return say(out, 400, fault);
	return say(out, 501, "this version of arangosync does not synchronise "
	    "yet; nothing was changed");
}

/* Nothing to stop: that is what was wanted. */
static int
nothing_to_do(struct control_call *call, struct json_object **out)
{
	return 200;
}

static int
post_barrier(struct control_call *call, struct json_object **out)
{
	return say(out, 412, "synchronization is not running: precondition "
	    "failed");
}

static int
get_barrier(struct control_call *call, struct json_object **out)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "SourceServerReadonly",
	    json_object_new_boolean(0));
	return 200;
}

static int
unknown_target(struct control_call *call, struct json_object **out)
{
	return say(out, 404, "no synchronization to that target: not found");
}

/* ---- dispatch --------------------------------------------------------------------------- */

static const struct route	 routes[] = {
	{ "GET", "/_api/health", 0, get_health },
	{ "GET", "/_api/masters", 0, get_masters },
	{ "GET", "/_api/endpoints", 0, get_endpoints },
	{ "GET", "/_api/leader/endpoint", 0, get_leader_endpoint },
	{ "GET", "/_api/worker", CALL_LEADER, get_workers },
	{ "GET", "/_api/task", CALL_LEADER, get_tasks },
	{ "GET", "/_api/message-timeout", CALL_LEADER, get_message_timeout },
	{ "PUT", "/_api/message-timeout", CALL_LEADER, put_message_timeout },
	{ "GET", "/_api/sync", CALL_LEADER, get_sync },
	{ "POST", "/_api/sync", CALL_LEADER, post_sync },
	{ "DELETE", "/_api/sync", CALL_LEADER, nothing_to_do },
	{ "GET", "/_api/sync/barrier", CALL_LEADER, get_barrier },
	{ "POST", "/_api/sync/barrier", CALL_LEADER, post_barrier },
	{ "DELETE", "/_api/sync/barrier", CALL_LEADER, nothing_to_do },
	{ "DELETE", "/_api/sync/outgoing/*", CALL_LEADER, unknown_target }
};

static bool
path_matches(const char *pattern, const char *path)
{
	size_t	 n = strlen(pattern);

	if (pattern[n - 1] == '*')
		return strncmp(pattern, path, n - 1) == 0 &&
		    path[n - 1] != '\0';
	return strcmp(pattern, path) == 0;
}

static int
dispatch(struct control_call *call, struct json_object **out,
    const char **forward)
{
	const struct route	*r;
	const char		*leader;
	bool			 known = false;
	size_t			 i;

	for (i = 0; i < NITEMS(routes); i++) {
		r = &routes[i];
		if (!path_matches(r->path, call->path))
			continue;
		known = true;
		if (strcmp(r->method, call->method) != 0)
			continue;
		if ((r->flags & CALL_LEADER) && !control_is_leader(call->c)) {
			leader = control_leader_endpoint(call->c);
			if (leader != NULL &&
			    strcmp(leader, call->c->conf->server_endpoint) != 0)
				*forward = leader;
			return say(out, 503, "not the leader: service "
			    "unavailable");
		}
		return r->fn(call, out);
	}
	return known ? say(out, 405, "method not allowed") :
	    say(out, 404, "not found");
}

void
control_answer_call(void *arg)
{
	struct control_call	*call = arg;
	struct control		*c = call->c;
	struct json_object	*o = NULL;
	struct buf		 b = BUF_INIT;
	const char		*forward = "", *text;
	size_t			 len;
	int			 status;

	status = dispatch(call, &o, &forward);
	if (o == NULL)
		o = json_object_new_object();
	text = json_object_to_json_string_length(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	put_u16(&b, (uint16_t)status);
	put_str(&b, forward);
	put_bytes(&b, text, len);
	/* When api was restarted meanwhile, nobody waits for this any more, and
	 * the number may be that of another request by now. */
	if (c->api != NULL && c->api_count == call->api_count)
		(void)peer_send_buf(c->api, MSG_API_CALL_ANS, call->id, &b);
	buf_free(&b);
	json_object_put(o);
	buf_free(&call->body);
	free(call->method);
	free(call->path);
	free(call->query);
	free(call->who);
	free(call);
}
