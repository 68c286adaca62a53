/* control_workers.c - see control_workers.h and control_workers_priv.h */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/peer.h"
#include "json/get.h"
#include "master/control_workers_priv.h"

/* What an earlier control left is stopped when nobody wants it by then. */
#define STRANGER_MS		20000
/* Statuses of thousands come and go; what that leaves is given back now and
 * then. */
#define TRIM_TICKS		20
#define TRIM_KEEP_BYTES		((size_t)1024 * 1024)

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
	struct slot		*s = workers_slot_of(p, name, class);

	bug_unless(s->worker == NULL);
	w->c = c;
	w->name = xstrdup(name);
	w->class = class;
	w->ops = ops;
	w->owner = owner;
	w->state = PROC_DOWN;
	workers_set_sentence(&w->sentence, NULL);
	w->since_us = clock_wall_us();
	set_wish(w, peers, npeers, config);
	s->worker = w;
	map_put(&p->workers, name, w);
	workers_slot_touch(s);
	return w;
}

void
control_worker_restart(struct control_worker *w, const char *const *peers,
    size_t npeers, const struct buf *config)
{
	struct slot	*s = map_get(&w->c->pool->slots, w->name);
	uint32_t	 before = workers_sum_of(w);

	bug_unless(s != NULL && s->worker == w);
	set_wish(w, peers, npeers, config);
	if (workers_sum_of(w) == before)
		return;
	control_worker_wake(w);
	/* What has not started yet starts with the new one anyway. */
	if (w->started)
		w->again = true;
	peer_free(&w->peer);
	workers_slot_touch(s);
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
	workers_slot_stop(s);
	/* A start that was sent, of which nothing was heard yet. */
	if (s->state == PROC_DOWN && w->started) {
		s->state = PROC_STARTING;
		s->stopping = true;
	}
	workers_slot_touch(s);
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
		workers_slot_touch(s);
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
		workers_slot_stop(s);
	}
}

/* It has had the time to be as it was: from now on it is shown as it is. */
static void
waking_over(struct control_worker *w)
{
	struct json_object	*o;

	if (w == NULL || !w->waking ||
	    loop_now_ms(w->c->loop) - w->woken_ms < WORKERS_WAKING_MS)
		return;
	o = w->next_status;
	w->next_status = NULL;
	if (o != NULL)
		workers_take_status(w, o);
	else
		w->waking = false;
	workers_changed(w);
}

static void
on_tick(void *arg)
{
	struct control_pool	*p = arg;
	struct map_iter		 it;
	struct slot		*s;

	workers_token_renew(p);
	if (loop_now_ms(p->c->loop) - p->since_ms >= STRANGER_MS)
		stop_strangers(p);
	if (++p->ticks % TRIM_TICKS == 0)
		(void)malloc_trim(TRIM_KEEP_BYTES);
	MAP_FOREACH(&p->slots, it) {
		s = it.value;
		workers_restart_lost(s, loop_now_ms(p->c->loop));
		waking_over(s->worker);
		if (s->worker != NULL && s->state == PROC_DOWN &&
		    !s->worker->started && !s->worker->asleep && !s->queued)
			workers_slot_touch(s);
	}
}

void
control_workers_init(struct control *c)
{
	struct control_pool	*p = xcalloc(1, sizeof(*p));

	c->pool = p;
	p->c = c;
	loop_task_init(&p->reap, workers_settle, p);
	TAILQ_INIT(&p->touched);
	TAILQ_INIT(&p->queued);
	p->tick = loop_timer_new(c->loop, on_tick, p);
	p->since_ms = loop_now_ms(c->loop);
	loop_timer_start_periodic(p->tick, WORKERS_START_AGAIN_MS);
	member_on_state(c->m, workers_on_member_state, c);
}

void
control_workers_begin(struct control *c)
{
	c->pool->on = true;
	c->pool->since_ms = loop_now_ms(c->loop);
	workers_token_renew(c->pool);
}

void
control_workers_end(struct control *c)
{
	struct control_pool	*p = c->pool;
	struct map_iter		 it;

	p->on = false;
	workers_token_forget(p);
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
		workers_slot_free(it.value);
	map_free(&p->slots, NULL);
	map_free(&p->workers, NULL);
	loop_task_cancel(&p->reap);
	loop_timer_free(&p->tick);
	workers_token_forget(p);
	json_object_put(p->parsed);
	free(p);
}
