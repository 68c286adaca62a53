/*
 * control_workers_slots.c - names, and the processes that have them: brings
 * what there is to what is wanted
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/err.h"
#include "base/log.h"
#include "ipc/peer.h"
#include "master/control_workers_priv.h"

/* Of those that come back from their sleep so many start at a time. */
#define WAKING_MAX		48

static void	want(struct slot *);

static const char	 no_sentence[] = "";

void
workers_set_sentence(const char **sentence, const char *text)
{
	const char	*before = *sentence;

	*sentence = text == NULL || *text == '\0' ? no_sentence :
	    xstrdup(text);
	if (before != no_sentence)
		free((void *)(uintptr_t)before);
}

struct slot *
workers_slot_of(struct control_pool *p, const char *name, unsigned class)
{
	struct slot	*s = map_get(&p->slots, name);

	if (s != NULL)
		return s;
	s = xcalloc(1, sizeof(*s));
	s->c = p->c;
	s->name = xstrdup(name);
	s->class = class;
	s->state = PROC_DOWN;
	workers_set_sentence(&s->sentence, NULL);
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
	if (w->c->pool != NULL && w->c->pool->parsed_of == w)
		w->c->pool->parsed_of = NULL;
	json_object_put(w->status);
	json_object_put(w->next_status);
	free(w->text);
	buf_free(&w->config);
	workers_set_sentence(&w->sentence, NULL);
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

void
workers_slot_stop(struct slot *s)
{
	/* The daemon stops: the supervisor does it. */
	if (s->c->stopping || (s->state == PROC_DOWN && !s->told))
		return;
	(void)member_stop(s->c->m, s->name);
	s->stopping = s->state != PROC_DOWN;
}

void
workers_slot_free(struct slot *s)
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
	workers_set_sentence(&s->sentence, NULL);
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

void
workers_slot_touch(struct slot *s)
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
	workers_slot_free(s);
}

void
workers_settle(void *arg)
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

uint32_t
workers_sum_of(const struct control_worker *w)
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
		workers_set_sentence(&w->sentence, err_text(r));
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
	if (!w->started && s->state == PROC_READY &&
	    s->sum == workers_sum_of(w)) {
		/* An earlier control has started it just so. */
		w->started = true;
		log_debug("%s: goes on", w->name);
	} else if (!w->started || w->again) {
		w->again = true;
		workers_slot_stop(s);
		return;
	}
	if (s->fd != -1) {
		int	 fd = s->fd;

		s->fd = -1;
		workers_take_fd(w, fd);
	}
}

void
workers_on_member_state(void *arg, const char *name, unsigned class,
    unsigned state, uint32_t generation, const char *sentence, uint32_t sum)
{
	struct control		*c = arg;
	struct slot		*s;
	struct control_worker	*w;

	if (class == DAEMON_CONTROL || class == DAEMON_API ||
	    state >= PROC_STATE_COUNT)
		return;
	s = workers_slot_of(c->pool, name, class);
	s->told = true;
	s->state = (enum proc_state)state;
	s->generation = generation;
	s->sum = sum;
	workers_set_sentence(&s->sentence, sentence);
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
			    WORKERS_START_AGAIN_MS;
		}
	}
	if ((w = s->worker) != NULL && s->leaving == NULL) {
		w->state = s->state;
		if (w->generation != s->generation)
			w->starts++;
		w->generation = s->generation;
		workers_set_sentence(&w->sentence, s->sentence);
		if (state == PROC_FAILED)
			log_error("%s: has ended too often: %s; tried again "
			    "later", name, sentence);
		workers_changed(w);
	}
	workers_slot_touch(s);
}

void
control_workers_connected(struct control *c, const char *name,
    unsigned class, uint32_t generation, int fd)
{
	struct slot	*s = workers_slot_of(c->pool, name, class);

	(void)generation;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
	if (s->worker != NULL && s->worker->started && !s->worker->again &&
	    s->leaving == NULL && !s->stopping)
		workers_take_fd(s->worker, fd);
	else if (!s->stopping && s->leaving == NULL) {
		s->fd = fd;	/* until we know more */
		workers_slot_touch(s);
	} else
		close(fd);
}
