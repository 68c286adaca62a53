/*
 * control_workers_talk.c - what control and a worker say to each other: tokens,
 * statuses, leave to sleep
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "arango/conn.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "master/control_topology.h"
#include "master/control_workers_priv.h"

#define STATUS_MAX_BYTES	((size_t)1024 * 1024)
/* A list of all pairs is the largest. */
#define MESSAGE_MAX_BYTES	((size_t)256 * 1024 * 1024)
/* Tokens are made anew that often; they last as long as the lease. */
#define TOKEN_EVERY_MS		5000
/* With less than that left a token is of no use. */
#define TOKEN_LEAST_MS		2000
/* Off the end, so that a worker stops before servers refuse it. */
#define TOKEN_MARGIN_MS		1000
/* A connection comes right after a process is ready. */
#define LOST_MS			5000
/* Who was wanted does not leave before that, whatever it has to do. */
#define WANTED_MS		2000

static int	on_status(struct msg_in *);
static int	on_look(struct msg_in *);
static int	on_leave(struct msg_in *);
static int	on_left(struct msg_in *);

static const struct msg_rule	 own_rules[] = {
	{ MSG_WORKER_STATUS, 1, 6, STATUS_MAX_BYTES, on_status },
	{ MSG_WORKER_LOOK, 1, 0, 0, on_look },
	{ MSG_WORKER_LEAVE_REQ, 1, 8, 8, on_leave },
	{ MSG_WORKER_LEFT, 1, 1, 1, on_left },
	{ 0, 0, 0, 0, NULL }
};

/* ---- tokens ------------------------------------------------------------- */

static bool
token_is_good(const struct control_pool *p)
{
	return p->token != NULL && loop_now_ms(p->c->loop) + TOKEN_LEAST_MS <
	    p->token_until_ms;
}

void
workers_token_forget(struct control_pool *p)
{
	if (p->token != NULL)
		explicit_bzero(p->token, strlen(p->token));
	free(p->token);
	p->token = NULL;
}

void
workers_token_send(struct control_pool *p, struct control_worker *w)
{
	struct buf	 b = BUF_INIT;

	if (w->peer == NULL || !token_is_good(p) || !control_is_leader(p->c))
		return;
	put_str(&b, p->token);
	put_u32(&b, (uint32_t)(p->token_until_ms -
	    loop_now_ms(p->c->loop) - TOKEN_MARGIN_MS));
	(void)peer_send_buf(w->peer, MSG_WORKER_TOKEN, 0, &b);
	buf_free(&b);
}

static void
token_send_all(struct control_pool *p)
{
	struct map_iter	 it;

	MAP_FOREACH(&p->workers, it)
		workers_token_send(p, it.value);
}

/*
 * Makes one that ends with the lease, in the cluster's time (R23); may wait,
 * as that time must be measured now and then.
 */
static void
token_fiber(void *arg)
{
	struct control_pool	*p = arg;
	struct control		*c = p->c;
	struct err_msg		 m = { "" };
	uint64_t		 until = c->lease.until_ms, now;
	char			*token = NULL;
	int			 r = 0;

	now = loop_now_ms(c->loop);
	if (!control_is_leader(c) || now + TOKEN_LEAST_MS >= until)
		r = ERR_BAD_STATE;
	else if (c->secret.len == 0)
		token = xstrdup("");
	else
		r = arango_make_token(c->cluster, until - now, &token, &m);
	/* Measuring takes time; the token counted from before it. */
	if (r == 0 && p->on && control_is_leader(c)) {
		workers_token_forget(p);
		p->token = token;
		token = NULL;
		p->token_until_ms = until;
		p->token_made_ms = loop_now_ms(c->loop);
		token_send_all(p);
	} else if (r != 0 && r != ERR_BAD_STATE)
		log_warning("no tokens for the workers: %s; trying again",
		    m.text);
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
	p->token_busy = false;
}

void
workers_token_renew(struct control_pool *p)
{
	uint64_t	 now = loop_now_ms(p->c->loop);

	if (!p->on || p->token_busy || p->c->cluster == NULL)
		return;
	if (token_is_good(p) && now - p->token_made_ms < TOKEN_EVERY_MS)
		return;
	p->token_busy = true;
	fiber_spawn(p->c->loop, token_fiber, p);
}

/* ---- messages of workers ------------------------------------------------ */

static void
keep_status(struct control_worker *w, struct json_object *o)
{
	struct control_pool	*p = w->c->pool;

	if (w->class != DAEMON_SEND && w->class != DAEMON_RECEIVE) {
		json_object_put(w->status);
		w->status = o;
		return;
	}
	free(w->text);
	w->text = xstrdup(json_object_to_json_string_ext(o,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	(void)str_copy(w->word, sizeof(w->word),
	    json_string_or(o, "state", ""));
	w->has_error = *json_string_or(o, "error", "") != '\0';
	w->queue_bytes = 0;
	(void)json_want_uint(o, "queue_bytes", &w->queue_bytes, NULL);
	json_object_put(p->parsed);
	p->parsed = o;
	p->parsed_of = w;
}

struct json_object *
control_worker_status(const struct control_worker *w)
{
	struct control_pool	*p = w->c->pool;

	if (w->text == NULL)
		return w->status;
	if (p->parsed_of == w)
		return p->parsed;
	json_object_put(p->parsed);
	p->parsed = NULL;
	p->parsed_of = w;
	(void)json_parse(w->text, strlen(w->text), &p->parsed, NULL);
	return p->parsed;
}

const char *
control_worker_word(const struct control_worker *w, const char *member)
{
	struct json_object	*o;

	if (w->text != NULL && strcmp(member, "state") == 0)
		return w->word;
	if (w->text != NULL && !w->has_error && strcmp(member, "error") == 0)
		return "";
	o = control_worker_status(w);
	return o == NULL ? "" : json_string_or(o, member, "");
}

/* One that comes back is shown as it was until it is so again. */
void
workers_take_status(struct control_worker *w, struct json_object *o)
{
	bool	 over = loop_now_ms(w->c->loop) - w->woken_ms >=
		    WORKERS_WAKING_MS;

	json_object_put(w->next_status);
	w->next_status = NULL;
	if (w->waking && !over && (w->text != NULL || w->status != NULL) &&
	    strcmp(json_string_or(o, "state", ""), "running") != 0 &&
	    strcmp(json_string_or(o, "state", ""), "failed") != 0) {
		w->next_status = o;
		return;
	}
	w->waking = false;
	keep_status(w, o);
	w->status_ms = loop_now_ms(w->c->loop);
	if (w->ops != NULL && w->ops->status != NULL)
		w->ops->status(w);
}

static int
on_status(struct msg_in *in)
{
	struct control_worker	*w = in->ctx;
	struct json_object	*o = NULL;
	const uint8_t		*text;
	size_t			 len;
	int			 r;

	if ((r = get_bytes(&in->body, &text, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0 ||
	    (r = json_parse((const char *)text, len, &o, NULL)) != 0)
		return r;
	if (!json_object_is_type(o, json_type_object)) {
		json_object_put(o);
		return ERR_FORMAT;
	}
	if (w->asleep)
		json_object_put(o);	/* of its end */
	else
		workers_take_status(w, o);
	return 0;
}

static int
on_look(struct msg_in *in)
{
	struct control_worker	*w = in->ctx;

	control_topology_look(w->c);
	return 0;
}

/* u64 tick */
static int
on_leave(struct msg_in *in)
{
	struct control_worker	*w = in->ctx;
	uint8_t			 allowed = control_is_leader(w->c) &&
				    !w->waking && !w->asleep &&
				    (w->woken_ms == 0 || loop_now_ms(
				    w->c->loop) - w->woken_ms >= WANTED_MS);
	uint64_t		 tick;
	int			 r;

	if ((r = get_u64(&in->body, &tick)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	w->may_leave = allowed;
	w->wake_early = false;
	if (w->peer != NULL)
		(void)peer_send(w->peer, MSG_WORKER_LEAVE_ANS, in->id,
		    &allowed, 1);
	return 0;
}

static int
on_left(struct msg_in *in)
{
	struct control_worker	*w = in->ctx;
	struct slot		*s = map_get(&w->c->pool->slots, w->name);
	bool			 left;
	int			 r;

	if ((r = get_bool(&in->body, &left)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (!w->may_leave || s == NULL || s->worker != w)
		return 0;
	w->may_leave = false;
	if (left && !w->again) {
		log_debug("%s: sleeps", w->name);
		w->asleep = true;
		w->started = false;
		workers_slot_stop(s);
		workers_slot_touch(s);
	}
	if (w->ops != NULL && w->ops->left != NULL)
		w->ops->left(w, w->asleep);
	if (w->wake_early)
		control_worker_wake(w);
	w->wake_early = false;
	return 0;
}

static int
on_worker_message(struct peer *p, const struct frame *f, void *arg)
{
	struct control_worker	*w = arg;
	int			 r;

	r = msg_dispatch_known(own_rules, 1, w, p, f);
	if (r == ERR_NOT_FOUND && w->ops != NULL && w->ops->rules != NULL)
		r = msg_dispatch(w->ops->rules, 1, w, p, f);
	return r == ERR_NOT_FOUND ? ERR_PROTOCOL : r;
}

void
workers_changed(struct control_worker *w)
{
	if (w->ops != NULL && w->ops->changed != NULL)
		w->ops->changed(w);
}

static void
on_worker_lost(struct peer *p, int why, void *arg)
{
	struct control_worker	*w = arg;

	if (why != ERR_CLOSED && why != -ECONNRESET && why != -EPIPE)
		log_warning("%s: its connection is lost: %s", w->name,
		    err_text(why));
	if (w->peer == p)
		w->peer = NULL;
	peer_free(&p);
	w->lost_ms = loop_now_ms(w->c->loop);
	w->may_leave = false;
	workers_changed(w);
}

/*
 * A process that lives has another connection only after it was restarted:
 * both have not understood each other.
 */
void
workers_restart_lost(struct slot *s, uint64_t now_ms)
{
	struct control_worker	*w = s->worker;

	if (w == NULL || w->peer != NULL || w->lost_ms == 0 || w->again ||
	    s->state != PROC_READY || now_ms - w->lost_ms < LOST_MS)
		return;
	log_warning("%s: runs without a connection; it is restarted", s->name);
	w->lost_ms = 0;
	w->again = true;
	workers_slot_touch(s);
}

static const struct peer_ops	 worker_peer_ops = {
	.message = on_worker_message, .lost = on_worker_lost
};

void
workers_take_fd(struct control_worker *w, int fd)
{
	struct control_pool	*p = w->c->pool;

	if (w->peer != NULL)
		peer_free(&w->peer);
	w->peer = peer_new(fd, w->name, &worker_peer_ops, w);
	peer_set_limits(w->peer, MESSAGE_MAX_BYTES, PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(w->peer, w->c->loop) != 0) {
		peer_free(&w->peer);
		return;
	}
	w->lost_ms = 0;
	workers_token_send(p, w);
	workers_token_renew(p);
	if (w->ops != NULL && w->ops->connected != NULL)
		w->ops->connected(w);
}
