/*
 * control_api.c - what operators ask, answered from the state.  Paths, fields
 * and statuses: product reference, section 3.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/url.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "master/control.h"
#include "master/control_incoming.h"
#include "master/control_outgoing.h"

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

int
control_say(struct json_object **out, int status, const char *fmt, ...)
{
	char	 text[1024];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	*out = json_object_new_object();
	json_object_object_add(*out, "Error", json_object_new_string(text));
	return status;
}

static int
say(struct json_object **out, int status, const char *text)
{
	return control_say(out, status, "%s", text);
}

char *
control_param(const struct control_call *call, const char *name)
{
	struct url_query	 q = URL_QUERY_INIT;
	const char		*v = NULL;
	char			*copy = NULL;

	if (call->query != NULL && url_query_parse(call->query,
	    strlen(call->query), &q) == 0 &&
	    (v = url_query_get(&q, name)) != NULL)
		copy = xstrdup(v);
	url_query_free(&q);
	return copy;
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

static int
get_endpoints(struct control_call *call, struct json_object **out)
{
	*out = json_object_new_object();
	json_object_object_add(*out, "endpoints", control_endpoints(call->c));
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

struct json_object *
control_body(struct control_call *call)
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
	struct json_object	*o = control_body(call), *v;
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
	agency_trx_pre_old(&t, CONTROL_ROOT "/leader", call->c->id_json);
	r = arango_agency_write(call->c->agency, &t, NULL, &m);
	agency_trx_free(&t);
	json_object_put(o);
	if (r != 0)
		return say(out, 503, m.text);
	/* Who asks for it now gets what was set. */
	control_look(call->c);
	return 200;
}

/* ---- dispatch --------------------------------------------------------------------------- */

static const struct route	 routes[] = {
	{ "GET", "/_api/health", 0, get_health },
	{ "GET", "/_api/masters", 0, get_masters },
	{ "GET", "/_api/endpoints", 0, get_endpoints },
	{ "GET", "/_api/leader/endpoint", 0, get_leader_endpoint },
	{ "GET", "/_api/worker", CALL_LEADER, get_workers },
	{ "GET", "/_api/task", CALL_LEADER, control_incoming_get_tasks },
	{ "GET", "/_api/message-timeout", CALL_LEADER, get_message_timeout },
	{ "PUT", "/_api/message-timeout", CALL_LEADER, put_message_timeout },
	{ "GET", "/_api/sync", CALL_LEADER, control_incoming_get },
	{ "POST", "/_api/sync", CALL_LEADER, control_incoming_configure },
	{ "DELETE", "/_api/sync", CALL_LEADER, control_incoming_stop },
	{ "GET", "/_api/sync/barrier", CALL_LEADER,
	    control_incoming_get_barrier },
	{ "POST", "/_api/sync/barrier", CALL_LEADER,
	    control_incoming_post_barrier },
	{ "DELETE", "/_api/sync/barrier", CALL_LEADER,
	    control_incoming_delete_barrier },
	{ "GET", "/_api/sync/shards", CALL_LEADER, control_incoming_shards },
	{ "GET", "/_api/sync/database/*", CALL_LEADER,
	    control_incoming_shard },
	{ "PUT", "/_api/sync/database/*", CALL_LEADER,
	    control_incoming_shard },
	{ "DELETE", "/_api/sync/outgoing/*", CALL_LEADER,
	    control_outgoing_delete },
	/* Masters of other datacenters. */
	{ "GET", "/_x/v1/info", CALL_LEADER, control_outgoing_get_info },
	{ "GET", "/_x/v1/shards", CALL_LEADER, control_outgoing_get_shards },
	{ "POST", "/_x/v1/barrier/*", CALL_LEADER,
	    control_outgoing_post_barrier },
	{ "GET", "/_x/v1/barrier/*", CALL_LEADER,
	    control_outgoing_get_barrier },
	{ "DELETE", "/_x/v1/barrier/*", CALL_LEADER,
	    control_outgoing_delete_barrier }
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
