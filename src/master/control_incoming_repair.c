/*
 * control_incoming_repair.c - who may repair, who is told to, who compares
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "master/control_incoming_priv.h"

/* ---- places to repair --------------------------------------------------- */

static void
answer_place(struct incoming_shard *s)
{
	if (control_worker_send(s->w, MSG_WORKER_PLACE_ANS, s->place_id,
	    NULL) != 0)
		return;
	s->has_place = true;
	s->in->places++;
}

void
incoming_places_give(struct control_incoming *in)
{
	struct incoming_shard	*s;

	while (in->places < in->c->conf->max_initial_sync &&
	    (s = in->waiting) != NULL) {
		if ((in->waiting = s->next_waiting) == NULL)
			in->waiting_end = &in->waiting;
		s->next_waiting = NULL;
		s->waits = false;
		if (s->w != NULL)
			answer_place(s);
	}
}

/* It is done, or gone. */
void
incoming_place_free(struct incoming_shard *s)
{
	struct control_incoming	 *in = s->in;
	struct incoming_shard	**p;

	if (s->waits) {
		for (p = &in->waiting; *p != s; p = &(*p)->next_waiting)
			;
		if ((*p = s->next_waiting) == NULL)
			in->waiting_end = p;
		s->next_waiting = NULL;
		s->waits = false;
	}
	if (s->has_place) {
		s->has_place = false;
		in->places--;
	}
}

int
incoming_on_place_req(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct incoming_shard	*s = w->owner;
	struct control_incoming	*in = s->in;

	if (s->has_place || s->waits)
		incoming_place_free(s);		/* it asks anew */
	s->place_id = msg->id;
	s->waits = true;
	*in->waiting_end = s;
	in->waiting_end = &s->next_waiting;
	incoming_places_give(in);
	return 0;
}

int
incoming_on_place_free(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct incoming_shard	*s = w->owner;

	incoming_place_free(s);
	incoming_places_give(s->in);
	return 0;
}

/* ---- comparing ---------------------------------------------------------- */

void
incoming_compare_end(struct incoming_shard *s, int err, const char *text)
{
	struct incoming_compare	*cmp = s->compare;

	if (cmp == NULL)
		return;
	s->compare = NULL;
	cmp->shard = NULL;
	cmp->done = true;
	if (err != 0) {
		cmp->err = err;
		(void)str_copy(cmp->text, sizeof(cmp->text), text);
	}
	fiber_wake(cmp->fiber);
}

int
incoming_on_compare_ans(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct incoming_shard	*s = w->owner;
	struct incoming_compare	 got = { .err = 0 }, *cmp;
	int32_t			 err;
	int			 r;

	if ((r = get_i32(&msg->body, &err)) != 0 ||
	    (r = get_str(&msg->body, got.text, sizeof(got.text))) != 0 ||
	    (r = get_u64(&msg->body, &got.differ)) != 0 ||
	    (r = get_str(&msg->body, got.source, sizeof(got.source))) != 0 ||
	    (r = get_str(&msg->body, got.target, sizeof(got.target))) != 0 ||
	    (r = get_end(&msg->body)) != 0)
		return r;
	if ((cmp = s->compare) == NULL || cmp->id != msg->id)
		return 0;	/* nobody waits for it any more */
	got.fiber = cmp->fiber;
	got.id = cmp->id;
	got.err = err;
	*cmp = got;
	incoming_compare_end(s, 0, "");
	return 0;
}

static void
on_compare_late(void *arg)
{
	struct incoming_compare	*cmp = arg;

	if (cmp->shard != NULL)
		incoming_compare_end(cmp->shard, ERR_TIMEOUT,
		    "not compared in time");
}

void
incoming_compare_cancel(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			incoming_compare_end(&p->shards[i], ERR_CANCELLED,
			    "cancelled");
	}
}

/*
 * Its process may sleep, or be about to: until it is back as it was.  Takes
 * that off *ms.  The shard may be gone when it has failed.
 */
static int
rouse(struct incoming_shard *s, uint64_t *ms, struct incoming_compare *cmp)
{
	struct control_incoming	*in = s->in;
	uint64_t		 since = loop_now_ms(in->c->loop), now = since;
	char			*db, *coll;
	uint32_t		 index = s->index;
	int			 r = 0;

	if (!s->w->may_leave && !control_worker_is_resting(s->w))
		return 0;
	db = xstrdup(s->pair->db);
	coll = xstrdup(s->pair->coll);
	while (r == 0 && (s->w->may_leave ||
	    control_worker_is_resting(s->w))) {
		control_worker_wake(s->w);
		if ((r = arango_sleep(&in->cancel, 50)) != 0)
			(void)str_copy(cmp->text, sizeof(cmp->text),
			    "cancelled");
		else if (incoming_shard_find(in, db, coll, index) != s ||
		    s->w == NULL)
			r = ERR_NOT_FOUND;
		else if ((now = loop_now_ms(in->c->loop)) - since >= *ms)
			r = ERR_TIMEOUT;
		if (r != 0 && cmp->text[0] == '\0')
			(void)str_copy(cmp->text, sizeof(cmp->text), "its "
			    "process did not come back in time");
	}
	*ms -= MIN(*ms, now - since);
	free(db);
	free(coll);
	if (r == 0 && s->compare != NULL) {
		(void)str_copy(cmp->text, sizeof(cmp->text), "another "
		    "comparison is under way");
		r = ERR_EXISTS;
	}
	return r;
}

int
incoming_compare(struct incoming_shard *s, uint64_t ms,
    struct incoming_compare *cmp)
{
	static uint32_t		 ids;
	struct control_incoming	*in = s->in;
	struct loop_timer	*timer;
	struct buf		 b = BUF_INIT;
	int			 r;

	memset(cmp, 0, sizeof(*cmp));
	if (s->compare != NULL) {
		(void)str_copy(cmp->text, sizeof(cmp->text), "another "
		    "comparison is under way");
		return cmp->err = ERR_EXISTS;
	}
	if (s->w != NULL && (r = rouse(s, &ms, cmp)) != 0)
		return cmp->err = r;
	cmp->fiber = fiber_self();
	cmp->id = ++ids == 0 ? ++ids : ids;
	put_u32(&b, (uint32_t)MIN(ms, UINT32_MAX));
	if (s->w == NULL || control_worker_send(s->w, MSG_WORKER_COMPARE_REQ,
	    cmp->id, &b) != 0) {
		buf_free(&b);
		snprintf(cmp->text, sizeof(cmp->text), "its process is not "
		    "there just now");
		return cmp->err = ERR_CLOSED;
	}
	buf_free(&b);
	s->compare = cmp;
	cmp->shard = s;
	timer = loop_timer_new(in->c->loop, on_compare_late, cmp);
	/* receive keeps the time; this is for one that does not answer. */
	loop_timer_start(timer, ms + 5000);
	while (!cmp->done)
		fiber_suspend();
	loop_timer_free(&timer);
	return cmp->err;
}

static int
tell_repair(struct incoming_shard *s, const char *why)
{
	struct buf	 b = BUF_INIT;
	int		 r;

	put_str(&b, why);
	r = control_worker_send(s->w, MSG_WORKER_REPAIR, 0, &b);
	buf_free(&b);
	return r;
}

void
incoming_tell_repair(struct incoming_shard *s)
{
	if (s->repair == NULL || tell_repair(s, s->repair) != 0)
		return;
	free(s->repair);
	s->repair = NULL;
}

int
incoming_repair(struct incoming_shard *s, const char *why)
{
	if (s->w == NULL)
		return ERR_CLOSED;
	if (s->w->may_leave || control_worker_is_resting(s->w)) {
		/* told when it is there again, or has said that it stays */
		free(s->repair);
		s->repair = xstrdup(why);
		control_worker_wake(s->w);
		return 0;
	}
	return tell_repair(s, why);
}
