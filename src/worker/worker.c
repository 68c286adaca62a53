/*
 * worker.c - see worker.h
 *
 * A worker without control goes on with the token that it has until that runs
 * out; then its calls wait, and nothing is written any more (R23).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "worker/worker.h"

#define STATUS_EVERY_MS		250
#define CONTROL_NAME		"control"
/* So long a worker that has left waits to be stopped. */
#define NOT_STOPPED_MS		5000
#define TOKEN_MAX_BYTES		16384
/* Far beyond any conversation with control; a list of all pairs is largest. */
#define CONTROL_MESSAGE_MAX	((size_t)256 * 1024 * 1024)

struct worker {
	struct member	*m;
	const struct worker_conf *conf;
	const struct worker_ops *ops;
	void		*arg;
	struct loop	*loop;
	struct arango	*cluster;
	struct arango_cancel cancel;
	struct peer	*control;	/* NULL while it is away */
	char		*status;	/* as text, the newest */
	bool		 status_is_new;	/* control does not know it */
	uint64_t	 status_ms;	/* last sent */
	struct loop_timer *status_timer;
	bool		 stopping, done;
	int		 exit;
};

static int	on_token(struct msg_in *);

static const struct msg_rule	 own_rules[] = {
	{ MSG_WORKER_TOKEN, 1, 8, TOKEN_MAX_BYTES, on_token },
	{ 0, 0, 0, 0, NULL }
};

/* ---- control ------------------------------------------------------------------- */

static int
on_token(struct msg_in *in)
{
	struct worker	*w = in->ctx;
	char		*token = NULL;
	uint32_t	 valid_ms;
	int		 r;

	if ((r = get_str_dup(&in->body, TOKEN_MAX_BYTES, &token)) == 0 &&
	    (r = get_u32(&in->body, &valid_ms)) == 0 &&
	    (r = get_end(&in->body)) == 0 && w->conf->authenticated)
		arango_set_token(w->cluster, token, valid_ms);
	if (token != NULL)
		explicit_bzero(token, strlen(token));
	free(token);
	return r;
}

static void
send_status(struct worker *w)
{
	struct buf	 b = BUF_INIT;

	if (w->control == NULL || w->status == NULL)
		return;
	put_bytes(&b, w->status, strlen(w->status));
	if (peer_send_buf(w->control, MSG_WORKER_STATUS, 0, &b) == 0) {
		w->status_is_new = false;
		w->status_ms = loop_now_ms(w->loop);
	}
	buf_free(&b);
}

static void
on_status_timer(void *arg)
{
	struct worker	*w = arg;

	if (w->status_is_new)
		send_status(w);
}

static int
on_control_message(struct peer *p, const struct frame *f, void *arg)
{
	struct worker	*w = arg;
	int		 r;

	r = msg_dispatch_known(own_rules, 1, w, p, f);
	if (r == ERR_NOT_FOUND && w->ops != NULL && w->ops->rules != NULL)
		r = msg_dispatch(w->ops->rules, 1, w->arg, p, f);
	return r == ERR_NOT_FOUND ? ERR_PROTOCOL : r;
}

static void
on_control_lost(struct peer *p, int why, void *arg)
{
	struct worker	*w = arg;

	if (why != ERR_CLOSED)
		log_warning("control: %s", err_text(why));
	if (w->control == p)
		w->control = NULL;
	peer_free(&p);
}

static const struct peer_ops	 control_ops = {
	.message = on_control_message, .lost = on_control_lost
};

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct worker	*w = arg;

	if (strcmp(name, CONTROL_NAME) != 0) {
		if (w->ops != NULL && w->ops->connect != NULL)
			w->ops->connect(w->arg, name, class, generation, fd);
		else
			close(fd);
		return;
	}
	if (w->control != NULL)
		peer_free(&w->control);
	w->control = peer_new(fd, name, &control_ops, w);
	peer_set_limits(w->control, CONTROL_MESSAGE_MAX, PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(w->control, w->loop) != 0) {
		peer_free(&w->control);
		return;
	}
	send_status(w);
	if (w->ops != NULL && w->ops->control != NULL)
		w->ops->control(w->arg, w->control);
}

/* ---- life ---------------------------------------------------------------------- */

static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct worker	*w = arg;

	w->stopping = true;
	if (w->ops != NULL && w->ops->stop != NULL)
		w->ops->stop(w->arg, why);
	else
		worker_done(w, PROC_EXIT_OK, NULL);
}

static void
on_dump(void *arg)
{
	struct worker	*w = arg;

	log_notice("status: %s", w->status == NULL ? "none yet" : w->status);
	if (w->ops != NULL && w->ops->dump != NULL)
		w->ops->dump(w->arg);
}

static void
open_cluster(struct worker *w)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	struct err_msg		 m = { "" };

	o.name = "own cluster";
	o.endpoints = w->conf->cluster_endpoints;
	o.token_from_outside = w->conf->authenticated;
	/* See control.c: the token is what servers are trusted with. */
	o.no_verify = true;
	if (arango_new(w->loop, &o, &w->cluster, &m) != 0)
		fatal("%s", m.text);
}

struct worker *
worker_new(struct member *m, const struct worker_conf *conf,
    const struct worker_ops *ops, void *arg)
{
	struct worker	*w = xcalloc(1, sizeof(*w));

	w->m = m;
	w->conf = conf;
	w->ops = ops;
	w->arg = arg;
	w->loop = m->child->loop;
	w->status_timer = loop_timer_new(w->loop, on_status_timer, w);
	open_cluster(w);
	member_on_connect(m, on_connect, w);
	proc_child_on_stop(m->child, on_stop, w);
	proc_child_on_dump(m->child, on_dump, w);
	return w;
}

int
worker_run(struct worker *w)
{
	if (!w->done) {
		member_ready(w->m);
		(void)loop_run(w->loop);
	}
	if (w->control != NULL)
		(void)peer_flush(w->control, 100);
	return w->exit;
}

void
worker_done(struct worker *w, int code, const char *fmt, ...)
{
	char	 text[512];
	va_list	 ap;

	if (w->done)
		return;
	w->done = true;
	w->exit = code;
	if (code != PROC_EXIT_OK && fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		(void)proc_child_fail_text(w->m->child, (enum proc_exit)code,
		    text);
	}
	loop_stop(w->loop);
}

bool
worker_is_stopping(const struct worker *w)
{
	return w->stopping || w->done;
}

struct loop *
worker_loop(const struct worker *w)
{
	return w->loop;
}

const struct worker_conf *
worker_get_conf(const struct worker *w)
{
	return w->conf;
}

void
worker_progress(struct worker *w)
{
	proc_child_progress(w->m->child);
}

struct arango *
worker_cluster(struct worker *w)
{
	return w->cluster;
}

struct arango_cancel *
worker_cancel(struct worker *w)
{
	return &w->cancel;
}

struct peer *
worker_control(const struct worker *w)
{
	return w->control;
}

void
worker_status(struct worker *w, struct json_object *status)
{
	const char	*text;
	uint64_t	 now = loop_now_ms(w->loop);

	text = json_object_to_json_string_ext(status,
	    JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
	if (w->status == NULL || strcmp(w->status, text) != 0) {
		free(w->status);
		w->status = xstrdup(text);
		w->status_is_new = true;
	}
	json_object_put(status);
	if (!w->status_is_new)
		return;
	if (now - w->status_ms >= STATUS_EVERY_MS)
		send_status(w);
	else if (!loop_timer_is_running(w->status_timer))
		loop_timer_start(w->status_timer,
		    STATUS_EVERY_MS - (now - w->status_ms));
}

void
worker_say(struct worker *w, uint16_t type)
{
	if (w->control != NULL)
		(void)peer_send(w->control, type, 0, NULL, 0);
}

void
worker_ask_leave(struct worker *w, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, tick);
	if (w->control != NULL)
		(void)peer_send_buf(w->control, MSG_WORKER_LEAVE_REQ, 0, &b);
	buf_free(&b);
}

static void
on_not_stopped(void *arg)
{
	struct worker	*w = arg;

	/* Control has died before it heard of it: begin anew. */
	worker_done(w, PROC_EXIT_OK, NULL);
}

void
worker_say_left(struct worker *w, bool left)
{
	uint8_t	 b = left;

	/* It is what is shown from now on. */
	if (left && w->status_is_new)
		send_status(w);
	if (w->control != NULL)
		(void)peer_send(w->control, MSG_WORKER_LEFT, 0, &b, 1);
	if (!left)
		return;
	loop_timer_start(loop_timer_new(w->loop, on_not_stopped, w),
	    NOT_STOPPED_MS);
}

/* ---- a place of the target -------------------------------------------------------- */

void
worker_target_put(struct buf *b, const struct worker_target *t)
{
	uint32_t	 i;

	put_str(b, t->cid);
	put_str(b, t->coll);
	put_str(b, t->shard);
	put_str(b, t->server);
	put_str(b, t->url);
	put_u64(b, t->reboot_id);
	put_u32(b, t->ncopies);
	for (i = 0; i < t->ncopies; i++) {
		put_str(b, t->copies[i].server);
		put_u64(b, t->copies[i].reboot_id);
	}
}

int
worker_target_get(struct rbuf *m, struct worker_target *t)
{
	uint32_t	 i;
	int		 r;

	memset(t, 0, sizeof(*t));
	if ((r = get_str(m, t->cid, sizeof(t->cid))) != 0 ||
	    (r = get_str(m, t->coll, sizeof(t->coll))) != 0 ||
	    (r = get_str(m, t->shard, sizeof(t->shard))) != 0 ||
	    (r = get_str(m, t->server, sizeof(t->server))) != 0 ||
	    (r = get_str(m, t->url, sizeof(t->url))) != 0 ||
	    (r = get_u64(m, &t->reboot_id)) != 0 ||
	    (r = get_u32(m, &t->ncopies)) != 0)
		return r;
	if (t->ncopies > WORKER_COPIES_MAX)
		return ERR_RANGE;
	for (i = 0; i < t->ncopies; i++)
		if ((r = get_str(m, t->copies[i].server,
		    sizeof(t->copies[i].server))) != 0 ||
		    (r = get_u64(m, &t->copies[i].reboot_id)) != 0)
			return r;
	return get_end(m);
}
