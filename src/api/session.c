/* session.c - sessions: how they begin and end, and their requests */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "api/session_priv.h"
#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "link/link.h"

#define TICK_MS		500
#define WHY_SIZE	512

/* ---- answers ------------------------------------------------------------ */

static void
reply_json(struct http_req *req, int status, struct json_object *o)
{
	struct buf	 b = BUF_INIT;

	json_append(&b, o);
	http_reply(req, status, "application/json", &b);
	buf_free(&b);
	json_object_put(o);
}

/* {"Error": ...}; leader may be NULL. */
static void
refuse(struct http_req *req, int status, const char *leader, const char *fmt,
    ...) __attribute__((format(printf, 4, 5)));

static void
refuse(struct http_req *req, int status, const char *leader, const char *fmt,
    ...)
{
	struct json_object	*o = json_object_new_object();
	char			 text[WHY_SIZE];
	va_list			 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_set_string(o, "Error", text);
	if (leader != NULL && leader[0] != '\0')
		json_set_string(o, "leader", leader);
	reply_json(req, status, o);
}

/* ---- life --------------------------------------------------------------- */

struct session *
session_of_target(const struct api_sessions *all, const char *target)
{
	return map_get(&all->targets, target);
}

static void
tell_control(struct session *s, bool open, const char *json)
{
	struct peer	*control = s->all->a->control;
	struct buf	 b = BUF_INIT;

	if (control == NULL)
		return;
	put_u8(&b, open);
	put_str(&b, s->target);
	put_bytes(&b, json, strlen(json));
	(void)peer_send_buf(control, MSG_API_SESSION, 0, &b);
}

static void
tell_control_end(struct session *s, const char *why)
{
	struct json_object	*o = json_object_new_object();
	char			*text;

	json_set_string(o, "why", why);
	text = json_to_text(o);
	tell_control(s, false, text);
	free(text);
	json_object_put(o);
}

void
session_end(struct session *s, const char *why)
{
	struct api_sessions	*all = s->all;
	struct buf		 b = BUF_INIT;

	log_notice("target %s: the session has ended: %s", s->target, why);
	(void)map_del(&all->ids, s->id);
	(void)map_del(&all->targets, s->target);
	session_drop_rows(s, why);
	put_str(&b, why);
	stream_put(&s->live, MSG_CH_CLOSED, 0, 0, b.data, b.len);
	buf_free(&b);
	stream_close(&s->live);
	stream_close(&s->bulk);
	tell_control_end(s, why);
	frame_parser_free(&s->up);
	free(s->hello);
	free(s->fingerprint);
	free(s);
}

static void
end_all(struct api_sessions *all, const char *why)
{
	struct map_iter	 it;

	MAP_FOREACH(&all->targets, it)
		session_end(it.value, why);
}

static void
on_tick(void *arg)
{
	struct api_sessions	*all = arg;
	uint64_t		 now = loop_now_ms(all->a->loop);
	struct map_iter		 it;
	struct session		*s;

	MAP_FOREACH(&all->targets, it) {
		s = it.value;
		if (now - s->heard_ms > LINK_SILENT_MS)
			session_end(s, "the target was silent for too long");
	}
	sessions_say_wanted(all, now);
}

struct api_sessions *
api_sessions_new(struct api *a)
{
	struct api_sessions	*all = xcalloc(1, sizeof(*all));

	all->a = a;
	TAILQ_INIT(&all->wanted);
	all->timer = loop_timer_new(a->loop, on_tick, all);
	loop_timer_start_periodic(all->timer, TICK_MS);
	return all;
}

void
api_sessions_free(struct api_sessions **allp)
{
	struct api_sessions	*all = *allp;

	*allp = NULL;
	if (all == NULL)
		return;
	end_all(all, "the process ends");
	loop_timer_free(&all->timer);
	map_free(&all->targets, NULL);
	map_free(&all->ids, NULL);
	map_free(&all->senders, NULL);
	json_object_put(all->identity);
	buf_free(&all->structure);
	free(all);
}

/* ---- POST /_x/v1/session ------------------------------------------------ */

/* A cluster id as arangod makes them: a UUID. */
static bool
is_cluster_id(const char *s)
{
	static const char	 good[] = "0123456789abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
	size_t			 n = strlen(s);

	return n > 0 && n < SESSION_CLUSTER_SIZE && strspn(s, good) == n;
}

/* What is wrong with it; status 0: nothing. */
static int
check_hello(const struct api_sessions *all, struct json_object *hello,
    struct err_msg *m)
{
	const char	*target = "", *wanted = "", *source;
	int64_t		 protocol = 0;

	if (!json_object_is_type(hello, json_type_object)) {
		err_set(m, 0, "the body is not a JSON object: bad request");
		return 400;
	}
	if (json_need_string(hello, "target", &target, m) != 0 ||
	    json_need_int(hello, "protocol", 0, INT64_MAX, &protocol,
	    m) != 0 || json_want_string(hello, "source", &wanted, m) != 0)
		return 400;
	if (!is_cluster_id(target)) {
		err_set(m, 0, "target is not the id of a cluster: bad "
		    "request");
		return 400;
	}
	if (protocol != LINK_PROTOCOL) {
		err_set(m, 0, "protocol %d is spoken here, not %lld: the "
		    "masters of both datacenters must be of versions that "
		    "fit", LINK_PROTOCOL, (long long)protocol);
		return 409;
	}
	source = json_string_or(all->identity, "source", "");
	if (strcmp(target, source) == 0) {
		err_set(m, 0, "this is the target itself: a cluster cannot "
		    "be its own source");
		return 409;
	}
	if (wanted[0] != '\0' && strcmp(wanted, source) != 0) {
		err_set(m, 0, "this is cluster %s, not %s", source, wanted);
		return 409;
	}
	return 0;
}

static void
new_id(struct session *s)
{
	uint8_t	 raw[SESSION_ID_HEX / 2];
	size_t	 i;

	rand_secret(raw, sizeof(raw));
	for (i = 0; i < sizeof(raw); i++)
		snprintf(s->id + 2 * i, 3, "%02x", raw[i]);
}

static struct session *
session_new(struct api_sessions *all, struct http_req *req,
    struct json_object *hello)
{
	struct session	*s = xcalloc(1, sizeof(*s));
	const char	*print = http_req_cert_fingerprint(req);

	s->all = all;
	new_id(s);
	(void)str_copy(s->target, sizeof(s->target),
	    json_string_or(hello, "target", ""));
	s->hello = json_to_text(hello);
	s->fingerprint = print == NULL ? NULL : xstrdup(print);
	s->heard_ms = loop_now_ms(all->a->loop);
	stream_init(&s->live, s);
	stream_init(&s->bulk, s);
	frame_parser_init(&s->up, CHANNEL_MESSAGE_MAX);
	map_put(&all->ids, s->id, s);
	map_put(&all->targets, s->target, s);
	return s;
}

static void
begin_session(struct api_sessions *all, struct http_req *req)
{
	struct json_object	*hello = NULL, *answer;
	struct session		*s;
	struct err_msg		 m = { "" };
	const uint8_t		*body;
	size_t			 len;
	int			 status;

	if (!all->taken) {
		refuse(req, 503, json_string_or(all->identity, "leader", ""),
		    all->identity == NULL ? "starting: service unavailable" :
		    "not the leader: service unavailable");
		return;
	}
	body = http_req_body(req, &len);
	if (json_parse((const char *)body, len, &hello, &m) != 0)
		status = 400;
	else
		status = check_hello(all, hello, &m);
	if (status != 0) {
		refuse(req, status, NULL, "%s", m.text);
		json_object_put(hello);
		return;
	}
	s = session_of_target(all, json_string_or(hello, "target", ""));
	if (s != NULL)
		session_end(s, "the target has begun another session");
	s = session_new(all, req, hello);
	json_object_put(hello);
	log_notice("target %s: a session has begun from %s", s->target,
	    http_req_peer(req));
	answer = json_copy(all->identity);
	json_set_string(answer, "session", s->id);
	json_set_int(answer, "protocol", LINK_PROTOCOL);
	reply_json(req, 200, answer);
	tell_control(s, true, s->hello);
}

/* ---- requests of a session ----------------------------------------------- */

static void
begin_stream(struct session *s, struct http_req *req, struct stream *t)
{
	if (t->req != NULL) {
		refuse(req, 409, NULL, "that stream was begun before: "
		    "conflict");
		return;
	}
	stream_begin(t, req);
	s->heard_ms = loop_now_ms(s->all->a->loop);
	if (t == &s->bulk)
		session_put_structure(s);
}

static void
take_up(struct session *s, struct http_req *req)
{
	const uint8_t	*body;
	struct frame	 f;
	size_t		 len;
	char		 why[WHY_SIZE];
	int		 r;

	if (s->live.req == NULL || s->bulk.req == NULL) {
		refuse(req, 409, NULL, "the streams of the session come "
		    "first: conflict");
		return;
	}
	s->heard_ms = loop_now_ms(s->all->a->loop);
	body = http_req_body(req, &len);
	frame_parser_feed(&s->up, body, len);
	while ((r = frame_parser_next(&s->up, &f)) == 1)
		if ((r = session_take(s, &f)) != 0)
			break;
	if (r == 0) {
		http_reply_bytes(req, 200, "application/json", "{}", 2);
		return;
	}
	if (s->up.failed != 0)
		snprintf(why, sizeof(why), "the target sent bytes that are no "
		    "frame: %s", err_text(r));
	else
		snprintf(why, sizeof(why), "the target sent %s on channel %u: "
		    "%s", msg_name(f.type), (unsigned)f.generation,
		    err_text(r));
	refuse(req, 400, NULL, "%s: bad request", why);
	session_end(s, why);
}

/* Who has begun it may use it: the same certificate. */
static bool
may_use(const struct session *s, const struct http_req *req)
{
	const char	*print = http_req_cert_fingerprint(req);

	if (s->fingerprint == NULL || print == NULL)
		return s->fingerprint == NULL && print == NULL;
	return strcmp(s->fingerprint, print) == 0;
}

void
api_session_serve(struct api_sessions *all, struct http_req *req)
{
	const char	*rest = http_req_path(req) + strlen(API_SESSION_PATH);
	enum http_method method = http_req_method(req);
	struct session	*s = NULL;
	char		 id[SESSION_ID_HEX + 1];

	if (rest[0] == '\0' && method == HTTP_POST) {
		begin_session(all, req);
		return;
	}
	if (rest[0] == '/' && strlen(rest) > SESSION_ID_HEX) {
		memcpy(id, rest + 1, SESSION_ID_HEX);
		id[SESSION_ID_HEX] = '\0';
		rest += 1 + SESSION_ID_HEX;
		s = map_get(&all->ids, id);
	}
	if (s == NULL || !may_use(s, req))
		refuse(req, 404, NULL, "no such session: not found");
	else if (method == HTTP_GET && strcmp(rest, "/live") == 0)
		begin_stream(s, req, &s->live);
	else if (method == HTTP_GET && strcmp(rest, "/bulk") == 0)
		begin_stream(s, req, &s->bulk);
	else if (method == HTTP_POST && strcmp(rest, "/up") == 0)
		take_up(s, req);
	else if (method == HTTP_DELETE && rest[0] == '\0') {
		http_reply_bytes(req, 200, "application/json", "{}", 2);
		session_end(s, "the target has ended it");
	} else
		refuse(req, 405, NULL, "method not allowed");
}

/* ---- control ------------------------------------------------------------- */

/* bool sessions are taken, bytes JSON */
static int
on_identity(struct msg_in *in)
{
	struct api		*a = in->ctx;
	struct api_sessions	*all = a->sessions;
	struct json_object	*o = NULL;
	const uint8_t		*text;
	size_t			 len;
	bool			 taken;
	int			 r;

	if ((r = get_bool(&in->body, &taken)) != 0 ||
	    (r = get_bytes(&in->body, &text, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (len != 0 && (r = json_parse((const char *)text, len, &o,
	    NULL)) != 0)
		return r;
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		o = json_object_new_object();
	}
	json_object_put(all->identity);
	all->identity = o;
	if (all->taken && !taken)
		end_all(all, "this master does not lead any more");
	all->taken = taken;
	return 0;
}

/* str target, str sentence */
static int
on_session_end(struct msg_in *in)
{
	struct api	*a = in->ctx;
	struct session	*s;
	char		 target[SESSION_CLUSTER_SIZE], why[WHY_SIZE];
	int		 r;

	if ((r = get_str(&in->body, target, sizeof(target))) != 0 ||
	    (r = get_str(&in->body, why, sizeof(why))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((s = session_of_target(a->sessions, target)) != NULL)
		session_end(s, why);
	return 0;
}

/* str target, channel, str sentence */
static int
on_refuse(struct msg_in *in)
{
	struct api		*a = in->ctx;
	struct channel_name	 name;
	struct session		*s;
	struct row		*row;
	char			 target[SESSION_CLUSTER_SIZE], why[WHY_SIZE];
	int			 r;

	if ((r = get_str(&in->body, target, sizeof(target))) != 0 ||
	    (r = channel_name_get(&in->body, &name)) != 0 ||
	    (r = get_str(&in->body, why, sizeof(why))) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if ((s = session_of_target(a->sessions, target)) != NULL &&
	    (row = session_find_row(s, &name)) != NULL && row->sender == NULL)
		row_close(row, why);
	return 0;
}

const struct msg_rule	 api_session_rules[] = {
	{ MSG_API_IDENTITY, 1, 5, 65536, on_identity },
	{ MSG_API_SESSION_END, 1, 8, 4096, on_session_end },
	{ MSG_API_REFUSE, 1, 24, 4096, on_refuse },
	{ 0, 0, 0, 0, NULL }
};

void
api_sessions_control(struct api_sessions *all)
{
	struct map_iter	 it;
	struct session	*s;

	MAP_FOREACH(&all->targets, it) {
		s = it.value;
		tell_control(s, true, s->hello);
	}
}
