/*
 * link_session.c - the session with the source: opening it at one endpoint
 * after the other, two streams down, requests up, the end
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/str.h"
#include "http/url.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "link/link_priv.h"

#define OPEN_CALL_MS		15000
#define ANSWER_MAX_BYTES	((size_t)64 * 1024)
#define DRAIN_MS		20	/* look again whether receives took it */
#define SNIPPET_SIZE		300

static void	end_round(struct link *l);
static void	try_next(struct link *l);
static void	begin_round(void *arg);

static void
set_phase(struct link *l, enum link_phase phase)
{
	l->phase = phase;
	l->phase_ms = loop_now_ms(l->loop);
}

/* Words of the other side, for our log and status: printable ones only. */
static char *
foreign(const char *in, char out[SNIPPET_SIZE])
{
	size_t	 i;

	for (i = 0; in[i] != '\0' && i < SNIPPET_SIZE - 1; i++)
		out[i] = in[i] >= ' ' && in[i] < 0x7f ? in[i] : '?';
	out[i] = '\0';
	return out;
}

/* ---- the end --------------------------------------------------------------- */

static void
on_bye(void *arg, struct http_result *res)
{
	struct link	*l = arg;

	l->bye = NULL;
	if (l->stopping)
		link_stopped(l);
}

/* It would end by itself; this spares the source the time until then. */
static void
say_bye(struct link *l)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	char			*url;

	if (l->id[0] == '\0' || l->http == NULL || l->bye != NULL)
		return;
	url = xasprintf("%s/_x/v1/session/%s", l->url, l->id);
	o.method = "DELETE";
	o.url = url;
	o.connect_timeout_ms = LINK_STOP_MS;
	o.total_timeout_ms = LINK_STOP_MS;
	o.max_body_bytes = ANSWER_MAX_BYTES;
	o.on_done = on_bye;
	o.arg = l;
	(void)http_client_start(l->http, &o, &l->bye, NULL);
	free(url);
}

static void
stream_end(struct link_stream *t)
{
	http_call_cancel(&t->call);
	frame_parser_free(&t->in);
	t->begun = false;
}

/* Nothing of it is left; no callback comes any more. */
static void
drop_session(struct link *l)
{
	bool	 was_up = l->phase == LINK_UP;

	say_bye(l);
	http_call_cancel(&l->open);
	http_call_cancel(&l->post);
	stream_end(&l->live);
	stream_end(&l->bulk);
	buf_free(&l->up);
	loop_task_cancel(&l->post_task);
	loop_timer_stop(l->drain_timer);
	loop_timer_stop(l->timer);
	l->paused = false;
	l->id[0] = '\0';
	set_phase(l, LINK_IDLE);
	if (was_up)
		link_lanes_up(l, false);
}

static void
wait_and_begin(struct link *l)
{
	if (l->stopping)
		return;
	set_phase(l, LINK_WAITING);
	loop_timer_start(l->timer, backoff_failed(&l->backoff,
	    loop_now_ms(l->loop)));
	link_status(l);
}

static void
say_trouble(struct link *l)
{
	if (strcmp(l->logged.text, l->error.text) == 0)
		return;
	l->logged = l->error;
	log_warning("source: %s; trying again", l->error.text);
}

void
link_session_end(struct link *l, enum link_why why, const char *fmt, ...)
{
	uint64_t	 now = loop_now_ms(l->loop);
	va_list		 ap;

	if (l->phase == LINK_IDLE || l->phase == LINK_WAITING)
		return;
	va_start(ap, fmt);
	vsnprintf(l->error.text, sizeof(l->error.text), fmt, ap);
	va_end(ap);
	l->why = why;
	if (l->phase == LINK_UP && now - l->phase_ms >= LINK_STEADY_MS)
		backoff_reset(&l->backoff);
	drop_session(l);
	say_trouble(l);
	wait_and_begin(l);
}

/* ---- up -------------------------------------------------------------------- */

static void
on_posted(void *arg, struct http_result *res)
{
	struct link	*l = arg;

	l->post = NULL;
	if (res->err != 0)
		link_session_end(l, LINK_WHY_AWAY, "%s: %s", l->url,
		    res->msg.text);
	else if (res->status != 200)
		link_session_end(l, LINK_WHY_AWAY, "%s: the source did not "
		    "take our messages: status %d", l->url, res->status);
	else {
		if (l->up.len < LINK_UP_LOW_BYTES)
			link_lanes_resume(l);
		if (l->up.len != 0)
			loop_task_post(l->loop, &l->post_task);
	}
}

/* One after the other: they are pieces of one stream of frames. */
static void
post(void *arg)
{
	static const char *const headers[] = {
		"content-type: application/octet-stream", NULL
	};
	struct link		*l = arg;
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct err_msg		 m = { "" };
	size_t			 n = MIN(l->up.len, LINK_POST_BYTES);
	char			*url;
	int			 r;

	if (l->phase != LINK_UP || l->post != NULL || n == 0)
		return;
	url = xasprintf("%s/_x/v1/session/%s/up", l->url, l->id);
	o.method = "POST";
	o.url = url;
	o.headers = headers;
	o.body = l->up.data;
	o.body_len = n;
	o.body_mode = HTTP_BODY_COPY;
	o.total_timeout_ms = LINK_SILENT_MS;
	o.max_body_bytes = ANSWER_MAX_BYTES;
	o.on_done = on_posted;
	o.arg = l;
	r = http_client_start(l->http, &o, &l->post, &m);
	free(url);
	if (r != 0) {
		link_session_end(l, LINK_WHY_AWAY, "%s: %s", l->url, m.text);
		return;
	}
	l->up_bytes += n;
	if (n == l->up.len)
		buf_free(&l->up);
	else
		buf_consume(&l->up, n);
}

void
link_put(struct link *l, uint16_t type, uint32_t channel, uint32_t id,
    const void *payload, size_t len)
{
	struct frame_header	 h = { .type = type, .generation = channel,
				    .id = id };

	if (l->phase != LINK_UP)
		return;
	frame_encode(&l->up, &h, payload, len);
	if (l->post == NULL)
		loop_task_post(l->loop, &l->post_task);
}

static void
ping(struct link *l, uint64_t now_ms)
{
	struct buf	 b = BUF_INIT;

	l->ping_ms = now_ms;
	put_u64(&b, clock_wall_us());
	link_put(l, MSG_CH_PING, 0, 0, b.data, b.len);
	buf_free(&b);
}

/* ---- down ------------------------------------------------------------------ */

/* Only the structure may be long; it is seen before it is all there. */
static bool
is_too_long(const struct frame_parser *p)
{
	return p->open && p->first.type != MSG_CH_STRUCTURE &&
	    p->whole.len > CHANNEL_MESSAGE_MAX;
}

static void
on_drained(void *arg)
{
	struct link	*l = arg;

	if (!l->paused)
		return;
	if (!link_has_room(l)) {
		loop_timer_start(l->drain_timer, DRAIN_MS);
		return;
	}
	l->paused = false;
	l->live.byte_ms = l->bulk.byte_ms = loop_now_ms(l->loop);
	http_call_resume(l->live.call);
	http_call_resume(l->bulk.call);
}

static void
pause_streams(struct link *l)
{
	if (l->paused || link_has_room(l))
		return;
	l->paused = true;
	http_call_pause(l->live.call);
	http_call_pause(l->bulk.call);
	loop_timer_start(l->drain_timer, DRAIN_MS);
}

static int
on_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct link_stream	*t = arg;
	struct link		*l = t->l;
	struct err_msg		 m = { "" };
	struct frame		 f;
	int			 r;

	t->byte_ms = loop_now_ms(l->loop);
	t->bytes += n;
	l->message_us = clock_wall_us();
	frame_parser_feed(&t->in, p, n);
	while ((r = frame_parser_next(&t->in, &f)) == 1)
		if ((r = link_take(l, t->bulk, &f, &m)) != 0)
			break;
	if (r == 0 && is_too_long(&t->in))
		r = ERR_TOO_BIG;
	if (r != 0) {
		link_session_end(l, LINK_WHY_AWAY, "%s: %s", l->url,
		    m.text[0] != '\0' ? m.text : "the source sent bytes that "
		    "are no messages of ours");
		return ERR_PROTOCOL;
	}
	pause_streams(l);
	return 0;
}

static void
session_up(struct link *l)
{
	uint64_t	 now = loop_now_ms(l->loop);

	set_phase(l, LINK_UP);
	l->sessions++;
	l->error.text[0] = l->logged.text[0] = '\0';
	log_notice("source %s: connected with %s", l->source, l->url);
	worker_progress(l->w);
	ping(l, now);
	link_lanes_up(l, true);
	link_status(l);
}

static int
on_stream_status(void *arg, struct http_call *call, int status)
{
	struct link_stream	*t = arg;
	struct link		*l = t->l;

	if (status != 200) {
		link_session_end(l, LINK_WHY_AWAY, "%s: the %s stream was "
		    "refused: status %d", l->url, t->bulk ? "bulk" : "live",
		    status);
		return ERR_HTTP;
	}
	t->begun = true;
	t->byte_ms = loop_now_ms(l->loop);
	if (l->live.begun && l->bulk.begun && l->phase == LINK_STREAMS)
		session_up(l);
	return 0;
}

static void
on_stream_done(void *arg, struct http_result *res)
{
	struct link_stream	*t = arg;
	struct link		*l = t->l;

	t->call = NULL;
	link_session_end(l, LINK_WHY_AWAY, "%s: the %s stream ended%s%s",
	    l->url, t->bulk ? "bulk" : "live", res->err != 0 ? ": " : "",
	    res->err != 0 ? res->msg.text : "");
}

static bool
begin_stream(struct link *l, struct link_stream *t)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct err_msg		 m = { "" };
	char			*url;
	int			 r;

	url = xasprintf("%s/_x/v1/session/%s/%s", l->url, l->id,
	    t->bulk ? "bulk" : "live");
	frame_parser_init(&t->in, t->bulk ? CHANNEL_STRUCTURE_MAX :
	    CHANNEL_MESSAGE_MAX);
	o.url = url;
	o.on_status = on_stream_status;
	o.on_data = on_data;
	o.on_done = on_stream_done;
	o.arg = t;
	r = http_client_start(l->http, &o, &t->call, &m);
	free(url);
	if (r != 0)
		link_session_end(l, LINK_WHY_AWAY, "%s: %s", l->url, m.text);
	return r == 0;
}

/* ---- opening --------------------------------------------------------------- */

/* What this endpoint says; that which matters most is kept for the round. */
static void
note(struct link *l, enum link_why why, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
note(struct link *l, enum link_why why, const char *fmt, ...)
{
	va_list	 ap;

	if (l->round.text[0] != '\0' && why < l->round_why)
		return;
	l->round_why = why;
	va_start(ap, fmt);
	vsnprintf(l->round.text, sizeof(l->round.text), fmt, ap);
	va_end(ap);
}

static bool
is_session_id(const char *s)
{
	size_t	 n = strlen(s);

	return n >= 16 && n <= LINK_SESSION_ID_MAX &&
	    strspn(s, "0123456789abcdef") == n;
}

/* 0, or what is wrong with the answer was noted. */
static int
take_answer(struct link *l, struct json_object *o)
{
	struct err_msg	 m = { "" };
	const char	*id, *source;
	int64_t		 protocol;
	char		 text[SNIPPET_SIZE];

	if (json_need_string(o, "session", &id, &m) != 0 ||
	    json_need_string(o, "source", &source, &m) != 0 ||
	    json_need_int(o, "protocol", 0, INT64_MAX, &protocol, &m) != 0 ||
	    !is_session_id(id) || source[0] == '\0' ||
	    strlen(source) >= sizeof(l->source)) {
		note(l, LINK_WHY_REFUSED, "%s: the answer is not that of a "
		    "master that can be a source%s%s", l->url,
		    m.text[0] != '\0' ? ": " : "", m.text);
		return ERR_FORMAT;
	}
	(void)str_copy(l->id, sizeof(l->id), id);
	if (protocol != LINK_PROTOCOL) {
		note(l, LINK_WHY_REFUSED, "%s: speaks protocol %lld, we speak "
		    "%d: the masters of both datacenters must be of versions "
		    "that fit", l->url, (long long)protocol, LINK_PROTOCOL);
		return ERR_VERSION;
	}
	if (l->conf.source[0] != '\0' && strcmp(source, l->conf.source) != 0) {
		note(l, LINK_WHY_REFUSED, "%s: this is cluster %s, but the "
		    "source is %s; nothing was changed", l->url,
		    foreign(source, text), l->conf.source);
		return ERR_DENIED;
	}
	if (strcmp(source, l->conf.target) == 0) {
		note(l, LINK_WHY_REFUSED, "%s: this is our own cluster; a "
		    "cluster cannot be its own source", l->url);
		return ERR_DENIED;
	}
	foreign(source, text);
	(void)str_copy(l->source, sizeof(l->source), text);
	foreign(json_string_or(o, "version", ""), text);
	(void)str_copy(l->version, sizeof(l->version), text);
	return 0;
}

/* Another endpoint that is said to lead: once a round. */
static void
take_hint(struct link *l, const char *leader)
{
	size_t	 i;
	char	*url;

	if (l->hinted || leader[0] == '\0' ||
	    url_from_endpoint(leader, 0, &url, NULL) != 0)
		return;
	for (i = 0; i < l->nendpoints; i++)
		if (strcmp(url, l->endpoints[i]) == 0)
			break;
	if (i == l->nendpoints && str_starts_with(url, "https://")) {
		l->hint = url;
		l->hinted = true;
	} else
		free(url);
}

static void
take_refusal(struct link *l, int status, struct json_object *o)
{
	char		 text[SNIPPET_SIZE];
	const char	*error = foreign(json_string_or(o, "Error", ""), text);

	if (status == 503 && json_at(o, "leader") != NULL)
		take_hint(l, json_string_or(o, "leader", ""));
	if (status == 503)
		note(l, LINK_WHY_NOT_LEADER, "%s: %s", l->url,
		    error[0] != '\0' ? error : "service unavailable");
	else if (status == 401 || status == 403)
		note(l, LINK_WHY_REFUSED, "%s: our client certificate is not "
		    "let in (status %d); it must be of an authority in "
		    "--server.client-cafile there", l->url, status);
	else if (status >= 400 && status < 500)
		note(l, LINK_WHY_REFUSED, "%s: %s (status %d)", l->url,
		    error[0] != '\0' ? error : "no master that can be a source",
		    status);
	else
		note(l, LINK_WHY_AWAY, "%s: status %d %s", l->url, status,
		    error);
}

static void
on_opened(void *arg, struct http_result *res)
{
	struct link		*l = arg;
	struct json_object	*o = NULL;
	bool			 good = false;

	l->open = NULL;
	if (res->err == 0 && json_parse((const char *)res->body.data,
	    res->body.len, &o, NULL) != 0)
		o = NULL;
	if (res->err != 0)
		note(l, res->err == ERR_TLS ? LINK_WHY_REFUSED : LINK_WHY_AWAY,
		    "%s: %s", l->url, res->msg.text);
	else if (res->status != 200)
		take_refusal(l, res->status, o);
	else
		good = take_answer(l, o) == 0;
	json_object_put(o);
	if (good) {
		set_phase(l, LINK_STREAMS);
		if (begin_stream(l, &l->live))
			(void)begin_stream(l, &l->bulk);
		return;
	}
	/* It may have begun one that we cannot use. */
	say_bye(l);
	l->id[0] = '\0';
	try_next(l);
}

/* Who and where we are: shown there to operators. */
static char *
make_hello(const struct link *l)
{
	const struct worker_conf *c = worker_get_conf(l->w);
	struct json_object	 *o = json_object_new_object(), *list;
	const char *const	 *e;
	char			 *text;

	json_set_string(o, "target", l->conf.target);
	json_set_string(o, "version", c->version);
	json_set_int(o, "protocol", LINK_PROTOCOL);
	if (l->conf.source[0] != '\0')
		json_set_string(o, "source", l->conf.source);
	list = json_object_new_array();
	for (e = c->master_endpoints; e != NULL && *e != NULL; e++)
		json_object_array_add(list, json_object_new_string(*e));
	json_set(o, "endpoints", list);
	text = json_to_text(o);
	json_object_put(o);
	return text;
}

static void
ask_for_session(struct link *l)
{
	static const char *const headers[] = {
		"content-type: application/json", NULL
	};
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct err_msg		 m = { "" };
	char			*text = make_hello(l), *url;

	url = xasprintf("%s/_x/v1/session", l->url);
	o.method = "POST";
	o.url = url;
	o.headers = headers;
	o.body = text;
	o.body_len = strlen(text);
	o.total_timeout_ms = OPEN_CALL_MS;
	o.max_body_bytes = ANSWER_MAX_BYTES;
	/* A second session would end the first. */
	o.may_repeat = true;
	o.on_done = on_opened;
	o.arg = l;
	if (http_client_start(l->http, &o, &l->open, &m) != 0) {
		note(l, LINK_WHY_REFUSED, "%s: %s", l->url, m.text);
		end_round(l);
	}
	free(text);
	free(url);
}

/* All have been asked. */
static void
end_round(struct link *l)
{
	l->error = l->round;
	l->why = l->round_why;
	say_trouble(l);
	wait_and_begin(l);
}

static void
try_next(struct link *l)
{
	if (l->tried < l->nendpoints) {
		free(l->url);
		l->url = xstrdup(l->endpoints[(l->first + l->tried++) %
		    l->nendpoints]);
	} else if (l->hint != NULL) {
		free(l->url);
		l->url = l->hint;
		l->hint = NULL;
	} else {
		end_round(l);
		return;
	}
	set_phase(l, LINK_OPENING);
	ask_for_session(l);
}

static void
begin_round(void *arg)
{
	struct link	*l = arg;

	if (l->stopping || l->http == NULL || l->nendpoints == 0)
		return;
	l->first = (size_t)rand_below(l->nendpoints);
	l->tried = 0;
	free(l->hint);
	l->hint = NULL;
	l->hinted = false;
	l->round.text[0] = '\0';
	try_next(l);
}

/* ---- life ------------------------------------------------------------------ */

static void
on_stop_timer(void *arg)
{
	link_stopped(arg);
}

void
link_session_init(struct link *l)
{
	l->live.l = l->bulk.l = l;
	l->bulk.bulk = true;
	l->backoff = (struct backoff)BACKOFF_INIT(200, 10000);
	loop_task_init(&l->post_task, post, l);
	l->timer = loop_timer_new(l->loop, begin_round, l);
	l->drain_timer = loop_timer_new(l->loop, on_drained, l);
	l->stop_timer = loop_timer_new(l->loop, on_stop_timer, l);
	set_phase(l, LINK_IDLE);
}

void
link_session_restart(struct link *l, const char *why)
{
	drop_session(l);
	backoff_reset(&l->backoff);
	if (why != NULL) {
		err_set(&l->error, 0, "%s", why);
		l->why = LINK_WHY_REFUSED;
	}
	if (l->http != NULL && l->nendpoints != 0 && !l->stopping)
		begin_round(l);
	link_status(l);
}

void
link_session_stop(struct link *l)
{
	drop_session(l);
	if (l->bye == NULL)
		link_stopped(l);
	else
		loop_timer_start(l->stop_timer, LINK_STOP_MS);
}

static bool
is_silent(const struct link *l, const struct link_stream *t, uint64_t now_ms)
{
	return !l->paused && now_ms > t->byte_ms &&
	    now_ms - t->byte_ms > LINK_SILENT_MS;
}

void
link_session_tick(struct link *l, uint64_t now_ms)
{
	if (l->phase == LINK_STREAMS && now_ms - l->phase_ms > LINK_OPEN_MS)
		link_session_end(l, LINK_WHY_AWAY, "%s: the streams of the "
		    "session did not begin in time", l->url);
	if (l->phase != LINK_UP)
		return;
	if (is_silent(l, &l->live, now_ms) || is_silent(l, &l->bulk, now_ms)) {
		link_session_end(l, LINK_WHY_AWAY, "%s: nothing was heard for "
		    "%d s", l->url, LINK_SILENT_MS / 1000);
		return;
	}
	if (now_ms - l->ping_ms >= LINK_PING_MS)
		ping(l, now_ms);
}
