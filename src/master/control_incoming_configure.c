/*
 * control_incoming_configure.c - POST /_api/sync: everything is checked before
 * anything is changed.
 *
 * Statuses: what is wrong with the request is 400, what is wrong with the
 * state of source or target 412: clients take a 5xx for "later" and throw its
 * sentence away (product reference 3.1).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/structure.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "http/ossl.h"
#include "http/url.h"
#include "json/get.h"
#include "link/link.h"
#include "master/control_incoming_priv.h"
#include "master/control_outgoing.h"

#define NUMBER(n)	#n
#define TEXT_OF(n)	NUMBER(n)
#define INFO_PATH	"/_x/v1/info?hops=" TEXT_OF(INCOMING_HOPS_MAX)

/* What a request is made of. */
struct wish {
	struct control_incoming	*in;
	struct json_object	*body;
	struct incoming_source	*source;
	char			 source_id[64];
	struct json_object	*endpoints;	/* of its masters, or NULL */
	struct json_object	*upstream;	/* where it has its data from */
	int			 status;	/* of the refusal */
	struct err_msg		 why;
};

static int	refuse(struct wish *w, int status, const char *fmt, ...)
		    __attribute__((format(printf, 3, 4)));

static int
refuse(struct wish *w, int status, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(w->why.text, sizeof(w->why.text), fmt, ap);
	va_end(ap);
	w->status = status;
	return -1;
}

/* ---- the request -------------------------------------------------------- */

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

/* The original's words. */
static int
check_request(struct wish *w)
{
	static const char *const  names[] = {
		"clientCertificate", "clientKey", "caCertificate"
	};
	struct json_object	 *source = NULL, *auth = NULL, *e;
	struct err_msg		  m = { "" };
	size_t			  i, n = 0;

	if (w->body == NULL)
		return refuse(w, 400, "the body is not a JSON object: bad "
		    "request");
	if (json_object_object_get_ex(w->body, "source", &source) &&
	    json_object_is_type(source, json_type_array))
		n = json_object_array_length(source);
	if (n == 0)
		return refuse(w, 400, "source missing: bad request");
	for (i = 0; i < n; i++) {
		e = json_object_array_get_idx(source, i);
		if (!json_object_is_type(e, json_type_string))
			return refuse(w, 400, "Invalid source: not a string: "
			    "bad request");
	}
	json_object_object_get_ex(w->body, "authentication", &auth);
	for (i = 0; i < NITEMS(names); i++)
		if (string_at(auth, names[i]) == NULL)
			return refuse(w, 400, "%s missing: bad request",
			    names[i]);
	if (incoming_source_new(w->in->c, w->body, &w->source, &m) != 0)
		return refuse(w, 400, "%s: bad request", m.text);
	return 0;
}

/* ---- the source --------------------------------------------------------- */

/* Which of both does not trust the other. */
static const char *
tls_hint(const char *text)
{
	if (strstr(text, " alert ") != NULL)
		return "the client certificate of --master.keyfile is refused: "
		    "it is not valid now, or its signer is not in the source's "
		    "--server.client-cafile";
	if (strstr(text, "certificate") != NULL)
		return "who signed the certificate of the source must be in "
		    "--source.cacert";
	return "is that a master of the source?";
}

/* Reachable, trusted, lets us in, and is one of ours. */
static int
ask_source(struct wish *w, struct json_object **info)
{
	struct incoming_ask	 q = { .path = INFO_PATH };
	struct err_msg		 m = { "" };
	int			 r;

	r = incoming_source_call(w->source, &q, info, &m);
	if (r == 0)
		return 0;
	if (q.status == 401 || q.status == 403)
		return refuse(w, 412, "%s; does its --server.client-cafile "
		    "know who signed the client certificate "
		    "(--master.keyfile)?", m.text);
	if (q.status == 404)
		return refuse(w, 412, "%s; it is no master that this one can "
		    "talk to", m.text);
	if (r == ERR_TLS)
		return refuse(w, 412, "%.280s; %s", m.text, tls_hint(m.text));
	return refuse(w, 412, "%s", m.text);
}

/* Our own minor version must not be older than the source's. */
static int
check_versions(struct wish *w, struct json_object *info)
{
	const char		*theirs = json_string_or(info, "arangodb", "");
	struct arango_version	 a, b;
	struct err_msg		 m = { "" };

	if (arango_version_parse(theirs, &a) != 0)
		return refuse(w, 412, "the source does not know the version "
		    "of its cluster yet; try again soon");
	if (arango_version(w->in->c->cluster, NULL, &b, &m) != 0)
		return refuse(w, 412, "%s", m.text);
	if (b.major > a.major || (b.major == a.major && b.minor >= a.minor))
		return 0;
	return refuse(w, 412, "this cluster has ArangoDB %.20s, which is older "
	    "than %.20s of the source; upgrade this one first", b.text,
	    a.text);
}

static int
check_source(struct wish *w)
{
	struct json_object	*info = NULL;
	const char		*id, *role;
	int64_t			 protocol;
	int			 r;

	if ((r = ask_source(w, &info)) != 0)
		return r;
	w->upstream = incoming_upstream_take(info);
	id = json_string_or(info, "cluster", "");
	role = json_string_or(info, "role", "");
	protocol = json_int_or(info, "protocol", 0);
	if (strcmp(role, "cluster") != 0)
		r = refuse(w, 412, "the source is no cluster (%.30s); only "
		    "clusters can be synchronized",
		    *role == '\0' ? "it does not say what it is" : role);
	else if (*id == '\0' || strlen(id) >= sizeof(w->source_id))
		r = refuse(w, 412, "the source does not know its cluster yet; "
		    "try again soon");
	else if (strcmp(id, w->in->c->cluster_id) == 0)
		r = refuse(w, 412, "the source is this cluster itself (%s); "
		    "name the masters of another one", id);
	else if (control_outgoing_has(w->in->c, id))
		r = refuse(w, 412, "the source is a target of this cluster "
		    "(%s); use \"stop sync\" there first, or \"abort "
		    "outgoing sync\" here when it is gone", id);
	else if (incoming_upstream_has(w->upstream, w->in->c->cluster_id))
		r = refuse(w, 412, "the source (%s) has its data from this "
		    "cluster, by way of others: clusters cannot be "
		    "synchronized in a ring", id);
	else if (protocol != LINK_PROTOCOL)
		r = refuse(w, 412, "the source speaks protocol %lld, this "
		    "master %d; use the same version of arangosync",
		    (long long)protocol, LINK_PROTOCOL);
	else
		r = check_versions(w, info);
	if (r == 0) {
		strcpy(w->source_id, id);
		w->endpoints = incoming_endpoints(json_at(info, "endpoints"));
	}
	json_object_put(info);
	return r;
}

/* ---- storing ------------------------------------------------------------ */

static struct json_object *
make_conf(const struct wish *w)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "state",
	    shard_state_name(SHARD_STATE_INITIALIZING));
	json_set(o, "source", json_copy(json_at(w->body, "source")));
	json_set(o, "authentication",
	    json_copy(json_at(w->body, "authentication")));
	return o;
}

static struct json_object *
make_x(const struct wish *w)
{
	struct json_object	*o = json_object_new_object();
	char			 now[CLOCK_TEXT_SIZE], id[33];

	rand_hex(id, 32);
	id[32] = '\0';
	json_set_string(o, "id", id);
	json_set_string(o, "sourceId", w->source_id);
	if (w->endpoints != NULL)
		json_set(o, "endpoints", json_object_get(w->endpoints));
	json_set(o, "upstream", json_object_get(w->upstream));
	json_set_bool(o, "first", true);
	json_set_string(o, "configured", clock_format_s(clock_wall_us(),
	    now));
	return o;
}

static int
store_new(struct wish *w)
{
	struct control_incoming	*in = w->in;
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*conf, *x, *id;
	struct err_msg		 m = { "" };

	conf = make_conf(w);
	x = make_x(w);
	id = json_object_new_string(in->c->cluster_id);
	agency_trx_set_text(&t, INCOMING_STATE "/structureVersion",
	    "\"0.2\"", 0);
	agency_trx_set(&t, INCOMING_STATE "/cluster-id", id, 0);
	agency_trx_set(&t, INCOMING_KEY, conf, 0);
	agency_trx_set(&t, INCOMING_X, x, 0);
	agency_trx_delete(&t, INCOMING_SHARDS);
	agency_trx_delete(&t, CONTROL_ROOT "/x/incomingAborted");
	if (incoming_write(in, &t, &m) != 0) {
		(void)refuse(w, 503, "%s", m.text);
		json_object_put(conf);
		json_object_put(x);
	} else {
		log_notice("synchronization from cluster %s is configured",
		    w->source_id);
		in->aborted = false;
		incoming_set_conf(in, conf, x);
	}
	json_object_put(id);
	agency_trx_free(&t);
	return w->status == 0 ? 0 : -1;
}

/* The same source, other endpoints or credentials. */
static int
store_again(struct wish *w)
{
	struct control_incoming	*in = w->in;
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*conf = make_conf(w);
	struct err_msg		 m = { "" };

	json_set_string(conf, "state", shard_state_name(in->stored));
	agency_trx_set(&t, INCOMING_KEY, conf, 0);
	if (incoming_write(in, &t, &m) != 0)
		(void)refuse(w, 503, "%s", m.text);
	else {
		log_notice("other endpoints or credentials for the source");
		json_object_put(in->conf);
		in->conf = json_object_get(conf);
		(void)incoming_open_source(in, &m);
		incoming_tell_link(in);
	}
	json_object_put(conf);
	agency_trx_free(&t);
	return w->status == 0 ? 0 : -1;
}

/*
 * An operator has looked at drops that wait (R19).  The inventory begins anew
 * with the permission, which ends when nothing waits any more.
 */
static int
allow_drops(struct wish *w)
{
	struct control_incoming	*in = w->in;
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct err_msg		 m = { "" };

	agency_trx_set_text(&t, INCOMING_X "/allowMassDrop", "true", 0);
	if (incoming_write(in, &t, &m) != 0)
		(void)refuse(w, 503, "%s", m.text);
	else if (in->active) {
		log_notice("collections that the source has lost may be "
		    "dropped, however many");
		json_set_bool(in->x, "allowMassDrop", true);
		incoming_inventory_restart(in);
	}
	agency_trx_free(&t);
	return w->status == 0 ? 0 : -1;
}

/* The same request again. */
static int
configure_same(struct wish *w)
{
	if (!json_bool_or(w->body, "allow-mass-drop", false) ||
	    json_bool_or(w->in->x, "allowMassDrop", false))
		return 0;
	return allow_drops(w);
}

/* ---- the call ----------------------------------------------------------- */

/* Endpoints as one string each, so that spellings do not matter. */
static bool
has_endpoint(struct json_object *list, const char *text)
{
	char	*a = NULL, *b;
	size_t	 i;
	bool	 found = false;

	if (url_from_endpoint(text, 8629, &a, NULL) != 0)
		return false;
	for (i = 0; i < json_object_array_length(list) && !found; i++) {
		if (url_from_endpoint(json_object_get_string(
		    json_object_array_get_idx(list, i)), 8629, &b,
		    NULL) != 0)
			continue;
		found = strcmp(a, b) == 0;
		free(b);
	}
	free(a);
	return found;
}

/* As the original: the endpoints intersect, the credentials are equal. */
static bool
is_same(struct json_object *a, struct json_object *b)
{
	static const char *const  names[] = {
		"authentication.clientCertificate",
		"authentication.clientKey", "authentication.caCertificate"
	};
	struct json_object	 *list = json_at(a, "source");
	struct json_object	 *other = json_at(b, "source");
	size_t			  i;

	for (i = 0; i < NITEMS(names); i++)
		if (strcmp(json_string_or(a, names[i], ""),
		    json_string_or(b, names[i], "")) != 0)
			return false;
	if (!json_object_is_type(other, json_type_array))
		return false;
	for (i = 0; i < json_object_array_length(list); i++)
		if (has_endpoint(other, json_object_get_string(
		    json_object_array_get_idx(list, i))))
			return true;
	return false;
}

static int
configure(struct wish *w)
{
	struct control_incoming	*in = w->in;
	int			 r;

	if ((r = check_request(w)) != 0)
		return r;
	if (in->active && in->state == SHARD_STATE_CANCELLING)
		return refuse(w, 412, "synchronization is being cancelled; "
		    "wait until it is inactive: precondition failed");
	if (in->active && is_same(w->body, in->conf))
		return configure_same(w);
	if ((r = check_source(w)) != 0)
		return r;
	/* Others may have acted while we waited. */
	if (in->ended)
		return refuse(w, 503, "not the leader: service unavailable");
	if (!in->active)
		return store_new(w);
	if (in->state == SHARD_STATE_CANCELLING)
		return refuse(w, 412, "synchronization is being cancelled; "
		    "wait until it is inactive: precondition failed");
	if (strcmp(w->source_id, incoming_source_id(in)) == 0)
		return store_again(w);
	return refuse(w, 412, "synchronizing from another source already, "
	    "cluster %s; use \"stop sync\" first: precondition failed",
	    incoming_source_id(in));
}

int
control_incoming_configure(struct control_call *call,
    struct json_object **out)
{
	struct wish	 w = { .status = 0 };
	int		 status;

	if ((w.in = incoming_of(call, out, &status)) == NULL)
		return status;
	if (w.in->configuring) {
		incoming_release(&w.in);
		return control_say(out, 503, "another request is under way: "
		    "service unavailable");
	}
	w.in->configuring = true;
	w.body = control_body(call);
	status = configure(&w) == 0 ? 200 : w.status;
	if (status != 200)
		control_say(out, status, "%s", w.why.text);
	w.in->configuring = false;
	incoming_source_free(&w.source);
	json_object_put(w.endpoints);
	json_object_put(w.upstream);
	json_object_put(w.body);
	incoming_release(&w.in);
	return status;
}
