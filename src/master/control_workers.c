/*
 * control_workers.c - see control_workers.h
 *
 * Names belong to slots, which know what the supervisor says about the process
 * of that name, whether we have started it or an earlier control has.  A
 * worker is what we want of a name; a slot has one at most, and while that of
 * before is being stopped, the next one waits.
 */
#include <sys/queue.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "arango/conn.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "master/control_topology.h"
#include "master/control_workers.h"

#define STATUS_MAX_BYTES	((size_t)1024 * 1024)
/* A list of all pairs is the largest. */
#define MESSAGE_MAX_BYTES	((size_t)256 * 1024 * 1024)
/* Tokens are made anew that often; they last as long as the lease. */
#define TOKEN_EVERY_MS		5000
#define TOKEN_RETRY_MS		500
/* With less than that left a token is of no use. */
#define TOKEN_LEAST_MS		2000
/* Off the end, so that a worker stops before servers refuse it. */
#define TOKEN_MARGIN_MS		1000
/* What an earlier control left is stopped when nobody wants it by then. */
#define STRANGER_MS		20000
/* A process that could not be started (no memory, no process). */
#define START_AGAIN_MS		1000
/* A connection comes right after a process is ready. */
#define LOST_MS			5000
/* Of those that come back from their sleep so many start at a time. */
#define WAKING_MAX		48
/* So long one that was woken is shown as it was before. */
#define WAKING_MS		10000
/* Who was wanted does not leave before that, whatever it has to do. */
#define WANTED_MS		2000

struct slot {
	TAILQ_ENTRY(slot) next_touched, next_queued;
	struct control	*c;
	char		*name;
	unsigned	 class;
	enum proc_state	 state;
	uint32_t	 generation;
	uint32_t	 sum;		/* of what runs */
	char		 sentence[512];
	struct control_worker *worker;	/* wanted; or NULL */
	struct control_worker *leaving;	/* stopped before; a list */
	bool		 stopping;	/* MSG_MESH_STOP was sent */
	bool		 told;		/* the supervisor has named it */
	bool		 touched;	/* to be looked at */
	bool		 queued;	/* to be started when others are up */
	bool		 counted;	/* in pool->starting */
	int		 fd;		/* connection nobody has taken; -1 */
	uint64_t	 not_before_ms;	/* started again */
};

struct control_pool {
	struct control	*c;
	struct map	 slots;		/* by name */
	struct map	 workers;	/* by name: those that are wanted */
	bool		 on;
	uint64_t	 since_ms;	/* first seen, or on, since */
	size_t		 starting;	/* on their way to READY */
	/* There may be thousands, so those that nothing has happened to are
	 * not looked at. */
	TAILQ_HEAD(, slot) touched;
	TAILQ_HEAD(, slot) queued;
	struct loop_timer *tick;
	struct loop_task reap;
	/* the token of now */
	char		*token;
	uint64_t	 token_until_ms, token_made_ms;
	bool		 token_busy;
};

static int	on_status(struct msg_in *);
static int	on_look(struct msg_in *);
static int	on_leave(struct msg_in *);
static int	on_left(struct msg_in *);
static void	want(struct slot *);
static void	slot_stop(struct slot *);
static void	slot_touch(struct slot *);

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

static void
token_forget(struct control_pool *p)
{
	if (p->token != NULL)
		explicit_bzero(p->token, strlen(p->token));
	free(p->token);
	p->token = NULL;
}

static void
token_send(struct control_pool *p, struct control_worker *w)
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
		token_send(p, it.value);
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
		token_forget(p);
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

static void
token_renew(struct control_pool *p)
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

/* One that comes back is shown as it was until it is so again. */
static void
take_status(struct control_worker *w, struct json_object *o)
{
	bool	 over = loop_now_ms(w->c->loop) - w->woken_ms >= WAKING_MS;

	json_object_put(w->next_status);
	w->next_status = NULL;
	if (w->waking && !over && w->status != NULL &&
	    strcmp(json_string_or(o, "state", ""), "running") != 0 &&
	    strcmp(json_string_or(o, "state", ""), "failed") != 0) {
		w->next_status = o;
		return;
	}
	w->waking = false;
	json_object_put(w->status);
	w->status = o;
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
		take_status(w, o);
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
		slot_stop(s);
		slot_touch(s);
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

static void
changed(struct control_worker *w)
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
	changed(w);
}

/*
 * A process that lives has another connection only after it was restarted:
 * both have not understood each other.
 */
static void
restart_lost(struct slot *s, uint64_t now_ms)
{
	struct control_worker	*w = s->worker;

	if (w == NULL || w->peer != NULL || w->lost_ms == 0 || w->again ||
	    s->state != PROC_READY || now_ms - w->lost_ms < LOST_MS)
		return;
	log_warning("%s: runs without a connection; it is restarted", s->name);
	w->lost_ms = 0;
	w->again = true;
	slot_touch(s);
}

static const struct peer_ops	 worker_peer_ops = {
	.message = on_worker_message, .lost = on_worker_lost
};

static void
take_fd(struct control_worker *w, int fd)
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
	token_send(p, w);
	token_renew(p);
	if (w->ops != NULL && w->ops->connected != NULL)
		w->ops->connected(w);
}

/* ---- slots -------------------------------------------------------------- */

static struct slot *
slot_of(struct control_pool *p, const char *name, unsigned class)
{
	struct slot	*s = map_get(&p->slots, name);

	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->c = p->c;
	s->name = xstrdup(name);
	s->class = class;
	s->state = PROC_DOWN;
	s->fd = -1;
	map_put(&p->slots, name, s);
	return s;
}

static void
worker_free(struct control_worker *w)
{
	while (w->npeers > 0)
		free(w->peers[--w->npeers]);
	free(w->peers);
	peer_free(&w->peer);
	json_object_put(w->status);
	json_object_put(w->next_status);
	buf_free(&w->config);
	free(w->name);
	free(w);
}

/* The processes of those that were stopped are no more. */
static void
slot_reap(struct slot *s)
{
	struct control_worker	*w;

	while ((w = s->leaving) != NULL) {
		s->leaving = w->next_leaving;
		if (w->ops != NULL && w->ops->gone != NULL)
			w->ops->gone(w);
		worker_free(w);
	}
}

static void
slot_stop(struct slot *s)
{
	/* The daemon stops: the supervisor does it. */
	if (s->c->stopping || (s->state == PROC_DOWN && !s->told))
		return;
	(void)member_stop(s->c->m, s->name);
	s->stopping = s->state != PROC_DOWN;
}

static void
slot_free(struct slot *s)
{
	struct control_pool	*p = s->c->pool;
	struct control_worker	*w;

	if (p != NULL && s->touched)
		TAILQ_REMOVE(&p->touched, s, next_touched);
	if (p != NULL && s->queued)
		TAILQ_REMOVE(&p->queued, s, next_queued);
	if (p != NULL)
		p->starting -= s->counted;
	if (s->worker != NULL)
		worker_free(s->worker);
	while ((w = s->leaving) != NULL) {
		s->leaving = w->next_leaving;
		worker_free(w);
	}
	if (s->fd != -1)
		close(s->fd);
	free(s->name);
	free(s);
}

static void
slot_count(struct slot *s)
{
	bool	 counts = s->worker != NULL && s->worker->started &&
		    (s->state == PROC_DOWN || s->state == PROC_STARTING);

	s->c->pool->starting += counts;
	s->c->pool->starting -= s->counted;
	s->counted = counts;
}

static void
slot_touch(struct slot *s)
{
	struct control_pool	*p = s->c->pool;

	if (!s->touched)
		TAILQ_INSERT_TAIL(&p->touched, s, next_touched);
	s->touched = true;
	loop_task_post(p->c->loop, &p->reap);
}

static void
slot_queue(struct slot *s, bool queued)
{
	struct control_pool	*p = s->c->pool;

	if (s->queued == queued)
		return;
	s->queued = queued;
	if (queued)
		TAILQ_INSERT_TAIL(&p->queued, s, next_queued);
	else
		TAILQ_REMOVE(&p->queued, s, next_queued);
}

/* The process is down, or a stranger is looked at: go on. */
static void
slot_settle(struct slot *s)
{
	if (s->state == PROC_DOWN)
		slot_reap(s);
	slot_queue(s, false);
	if (s->worker != NULL)
		want(s);
	slot_count(s);
	if (s->state != PROC_DOWN || s->worker != NULL || s->leaving != NULL ||
	    s->fd != -1)
		return;
	map_del(&s->c->pool->slots, s->name);
	slot_free(s);
}

static void
settle(void *arg)
{
	struct control_pool	*p = arg;
	struct slot		*s;

	TAILQ_FOREACH(s, &p->touched, next_touched)
		slot_count(s);
	while ((s = TAILQ_FIRST(&p->touched)) != NULL) {
		TAILQ_REMOVE(&p->touched, s, next_touched);
		s->touched = false;
		slot_settle(s);
	}
	while (p->starting < WAKING_MAX &&
	    (s = TAILQ_FIRST(&p->queued)) != NULL)
		slot_settle(s);
}

static uint32_t
sum_of(const struct control_worker *w)
{
	return member_sum((const char *const *)w->peers, w->npeers,
	    w->config.data, w->config.len);
}

static void
send_start(struct slot *s)
{
	struct control_worker	*w = s->worker;
	int			 r;

	r = member_start(s->c->m, w->name, w->class,
	    (const char *const *)w->peers, w->npeers, w->config.data,
	    w->config.len);
	if (r != 0) {
		str_copy(w->sentence, sizeof(w->sentence), err_text(r));
		log_error("%s: cannot be started: %s", w->name, err_text(r));
		return;
	}
	w->started = true;
	s->told = true;
}

/* Bring the process to what its worker wants, as far as that goes now. */
static void
want(struct slot *s)
{
	struct control_worker	*w = s->worker;

	if (s->leaving != NULL || s->stopping || s->c->stopping || w->asleep)
		return;		/* when it is down */
	if (s->state == PROC_DOWN) {
		if ((w->started && !w->again) ||
		    loop_now_ms(s->c->loop) < s->not_before_ms)
			return;
		if (w->waking && s->c->pool->starting >= WAKING_MAX) {
			slot_queue(s, true);	/* when others are up */
			return;
		}
		w->again = false;
		send_start(s);
		slot_count(s);
		return;
	}
	if (!w->started && s->state == PROC_READY && s->sum == sum_of(w)) {
		/* An earlier control has started it just so. */
		w->started = true;
		log_debug("%s: goes on", w->name);
	} else if (!w->started || w->again) {
		w->again = true;
		slot_stop(s);
		return;
	}
	if (s->fd != -1) {
		int	 fd = s->fd;

		s->fd = -1;
		take_fd(w, fd);
	}
}

static void
on_member_state(void *arg, const char *name, unsigned class, unsigned state,
    uint32_t generation, const char *sentence, uint32_t sum)
{
	struct control		*c = arg;
	struct slot		*s;
	struct control_worker	*w;

	if (class == DAEMON_CONTROL || class == DAEMON_API ||
	    state >= PROC_STATE_COUNT)
		return;
	s = slot_of(c->pool, name, class);
	s->told = true;
	s->state = (enum proc_state)state;
	s->generation = generation;
	s->sum = sum;
	str_copy(s->sentence, sizeof(s->sentence), sentence);
	if (state == PROC_DOWN) {
		s->stopping = false;
		if (s->fd != -1)
			close(s->fd);
		s->fd = -1;
		/* It could not be forked; a stop that we have sent ends here,
		 * too, and starts what waits. */
		if (s->worker != NULL && s->worker->started &&
		    s->leaving == NULL && !s->worker->again) {
			s->worker->started = false;
			s->not_before_ms = loop_now_ms(c->loop) +
			    START_AGAIN_MS;
		}
	}
	if ((w = s->worker) != NULL && s->leaving == NULL) {
		w->state = s->state;
		if (w->generation != s->generation)
			w->starts++;
		w->generation = s->generation;
		str_copy(w->sentence, sizeof(w->sentence), s->sentence);
		if (state == PROC_FAILED)
			log_error("%s: has ended too often: %s; tried again "
			    "later", name, sentence);
		changed(w);
	}
	slot_touch(s);
}

void
control_workers_connected(struct control *c, const char *name,
    unsigned class, uint32_t generation, int fd)
{
	struct slot	*s = slot_of(c->pool, name, class);

	(void)generation;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	if (s->worker != NULL && s->worker->started && !s->worker->again &&
	    s->leaving == NULL && !s->stopping)
		take_fd(s->worker, fd);
	else if (!s->stopping && s->leaving == NULL) {
		s->fd = fd;	/* until we know more */
		slot_touch(s);
	} else
		close(fd);
}

/* ---- for owners --------------------------------------------------------- */

static void
set_wish(struct control_worker *w, const char *const *peers, size_t npeers,
    const struct buf *config)
{
	size_t	 i;

	while (w->npeers > 0)
		free(w->peers[--w->npeers]);
	free(w->peers);
	w->peers = xcalloc(npeers == 0 ? 1 : npeers, sizeof(*w->peers));
	for (i = 0; i < npeers; i++)
		w->peers[i] = xstrdup(peers[i]);
	w->npeers = npeers;
	buf_reset(&w->config);
	if (config != NULL)
		buf_append(&w->config, config->data, config->len);
}

struct control_worker *
control_worker_start(struct control *c, const char *name, unsigned class,
    const char *const *peers, size_t npeers, const struct buf *config,
    const struct control_worker_ops *ops, void *owner)
{
	struct control_pool	*p = c->pool;
	struct control_worker	*w = xcalloc(1, sizeof(*w));
	struct slot		*s = slot_of(p, name, class);

	bug_unless(s->worker == NULL);
	w->c = c;
	w->name = xstrdup(name);
	w->class = class;
	w->ops = ops;
	w->owner = owner;
	w->state = PROC_DOWN;
	w->since_us = clock_wall_us();
	set_wish(w, peers, npeers, config);
	s->worker = w;
	map_put(&p->workers, name, w);
	slot_touch(s);
	return w;
}

void
control_worker_restart(struct control_worker *w, const char *const *peers,
    size_t npeers, const struct buf *config)
{
	struct slot	*s = map_get(&w->c->pool->slots, w->name);
	uint32_t	 before = sum_of(w);

	bug_unless(s != NULL && s->worker == w);
	set_wish(w, peers, npeers, config);
	if (sum_of(w) == before)
		return;
	control_worker_wake(w);
	/* What has not started yet starts with the new one anyway. */
	if (w->started)
		w->again = true;
	peer_free(&w->peer);
	slot_touch(s);
}

void
control_worker_update(struct control_worker *w, const struct buf *config)
{
	buf_reset(&w->config);
	buf_append(&w->config, config->data, config->len);
	/* A process that is there stays as it is. */
	if (w->started && !w->again && !w->leaving)
		(void)member_start(w->c->m, w->name, w->class,
		    (const char *const *)w->peers, w->npeers, w->config.data,
		    w->config.len);
}

void
control_worker_stop(struct control_worker *w)
{
	struct control_pool	*p = w->c->pool;
	struct slot		*s = map_get(&p->slots, w->name);

	bug_unless(s != NULL && s->worker == w);
	map_del(&p->workers, w->name);
	s->worker = NULL;
	w->leaving = true;
	w->next_leaving = s->leaving;
	s->leaving = w;
	peer_free(&w->peer);
	slot_stop(s);
	/* A start that was sent, of which nothing was heard yet. */
	if (s->state == PROC_DOWN && w->started) {
		s->state = PROC_STARTING;
		s->stopping = true;
	}
	slot_touch(s);
}

void
control_worker_wake(struct control_worker *w)
{
	struct slot	*s;

	if (w->may_leave)
		w->wake_early = true;
	if (!w->waking)
		w->woken_ms = loop_now_ms(w->c->loop);
	if (!w->asleep)
		return;
	log_debug("%s: is woken", w->name);
	w->asleep = false;
	w->waking = true;
	w->lost_ms = 0;
	if ((s = map_get(&w->c->pool->slots, w->name)) != NULL &&
	    s->worker == w)
		slot_touch(s);
}

bool
control_worker_is_resting(const struct control_worker *w)
{
	return w->asleep || w->waking;
}

void
control_worker_disown(struct control_worker *w)
{
	w->ops = NULL;
	w->owner = NULL;
}

struct control_worker *
control_worker_find(const struct control *c, const char *name)
{
	return map_get(&c->pool->workers, name);
}

const struct map *
control_workers(const struct control *c)
{
	return &c->pool->workers;
}

int
control_worker_send(struct control_worker *w, uint16_t type, uint32_t id,
    struct buf *b)
{
	int	 r;

	if (w->peer == NULL) {
		if (b != NULL)
			buf_reset(b);
		return ERR_CLOSED;
	}
	if (b == NULL)
		return peer_send(w->peer, type, id, NULL, 0);
	r = peer_send_buf(w->peer, type, id, b);
	buf_reset(b);
	return r;
}

const char *
control_worker_word(const struct control_worker *w, const char *member)
{
	return w->status == NULL ? "" : json_string_or(w->status, member, "");
}

/* ---- for control.c ------------------------------------------------------ */

/* What an earlier control has started and nobody wants any more. */
static void
stop_strangers(struct control_pool *p)
{
	struct map_iter	 it;
	struct slot	*s;

	MAP_FOREACH(&p->slots, it) {
		s = it.value;
		if (s->worker != NULL || s->leaving != NULL || s->stopping ||
		    s->state == PROC_DOWN)
			continue;
		log_info("%s: is not needed any more", s->name);
		slot_stop(s);
	}
}

/* It has had the time to be as it was: from now on it is shown as it is. */
static void
waking_over(struct control_worker *w)
{
	struct json_object	*o;

	if (w == NULL || !w->waking ||
	    loop_now_ms(w->c->loop) - w->woken_ms < WAKING_MS)
		return;
	o = w->next_status;
	w->next_status = NULL;
	if (o != NULL)
		take_status(w, o);
	else
		w->waking = false;
	changed(w);
}

static void
on_tick(void *arg)
{
	struct control_pool	*p = arg;
	struct map_iter		 it;
	struct slot		*s;

	token_renew(p);
	if (loop_now_ms(p->c->loop) - p->since_ms >= STRANGER_MS)
		stop_strangers(p);
	MAP_FOREACH(&p->slots, it) {
		s = it.value;
		restart_lost(s, loop_now_ms(p->c->loop));
		waking_over(s->worker);
		if (s->worker != NULL && s->state == PROC_DOWN &&
		    !s->worker->started && !s->worker->asleep && !s->queued)
			slot_touch(s);
	}
}

void
control_workers_init(struct control *c)
{
	struct control_pool	*p = xcalloc(1, sizeof(*p));

	c->pool = p;
	p->c = c;
	loop_task_init(&p->reap, settle, p);
	TAILQ_INIT(&p->touched);
	TAILQ_INIT(&p->queued);
	p->tick = loop_timer_new(c->loop, on_tick, p);
	p->since_ms = loop_now_ms(c->loop);
	loop_timer_start_periodic(p->tick, START_AGAIN_MS);
	member_on_state(c->m, on_member_state, c);
}

void
control_workers_begin(struct control *c)
{
	c->pool->on = true;
	c->pool->since_ms = loop_now_ms(c->loop);
	token_renew(c->pool);
}

void
control_workers_end(struct control *c)
{
	struct control_pool	*p = c->pool;
	struct map_iter		 it;

	p->on = false;
	token_forget(p);
	MAP_FOREACH(&p->workers, it)
		control_worker_stop(it.value);
	stop_strangers(p);
}

void
control_workers_free(struct control *c)
{
	struct control_pool	*p = c->pool;
	struct map_iter		 it;

	c->pool = NULL;
	MAP_FOREACH(&p->slots, it)
		slot_free(it.value);
	map_free(&p->slots, NULL);
	map_free(&p->workers, NULL);
	loop_task_cancel(&p->reap);
	loop_timer_free(&p->tick);
	token_forget(p);
	free(p);
}
