/*
 * control_incoming_pairs.c - the pairs that the target's inventory names: one
 * receive for each shard, where it writes, who may repair, who compares.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/topology.h"
#include "base/clock.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "http/url.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"
#include "master/control_topology.h"
#include "receive/receive.h"
#include "receive/receive_record.h"

/* That many may be on their way to READY: forking is not free. */
#define STARTING_MAX	64
#define SHARDS_MAX	100000	/* of one collection */

/* ---- finding ------------------------------------------------------------ */

static char *
pair_key(const char *db, const char *coll)
{
	return xasprintf("%s/%s", db, coll);
}

struct incoming_shard *
incoming_shard_find(const struct control_incoming *in, const char *db,
    const char *coll, uint32_t index)
{
	char			*key = pair_key(db, coll);
	struct incoming_pair	*p = map_get(&in->pairs, key);

	free(key);
	return p != NULL && index < p->nshards ? &p->shards[index] : NULL;
}

/* Names may hold what the agency takes for a path. */
char *
incoming_shard_key(const struct incoming_shard *s)
{
	char	*db = url_encode(s->pair->db);
	char	*coll = url_encode(s->pair->coll);
	char	*key = xasprintf("%s:%s:%u", db, coll, s->index);

	free(db);
	free(coll);
	return key;
}

enum shard_state
incoming_shard_state(const struct incoming_shard *s)
{
	const char	*word;
	int		 i;

	if (s->w == NULL)
		return SHARD_STATE_INITIALIZING;
	if (s->w->state == PROC_FAILED)
		return SHARD_STATE_FAILED;
	if (s->w->peer == NULL && !control_worker_is_resting(s->w))
		return SHARD_STATE_INITIALIZING;
	word = control_worker_word(s->w, "state");
	for (i = 0; i < SHARD_STATE_COUNT; i++)
		if (strcmp(shard_state_name((enum shard_state)i), word) == 0)
			return i == SHARD_STATE_INACTIVE ?
			    SHARD_STATE_INITIALIZING : (enum shard_state)i;
	return SHARD_STATE_INITIALIZING;
}

const char *
incoming_shard_error(const struct incoming_shard *s)
{
	const char	*word;

	if (s->w == NULL)
		return "";
	if (!control_worker_is_resting(s->w) &&
	    (s->w->state != PROC_READY || s->w->peer == NULL))
		return s->w->sentence;
	word = control_worker_word(s->w, "error");
	return word;
}

size_t
incoming_count(const struct control_incoming *in, enum shard_state state)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;
	size_t			 n = 0;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			n += incoming_shard_state(&p->shards[i]) == state;
	}
	return n;
}

/* ---- where a receive writes --------------------------------------------- */

/* Who may lead the shard next. */
static void
find_copies(const struct topo_shard *shard, const struct arango_topology *t,
    struct worker_target *wt)
{
	const struct topo_server	*server;
	struct worker_copy		*copy;
	size_t				 i;

	for (i = 0; i < shard->ncurrent &&
	    wt->ncopies < WORKER_COPIES_MAX; i++) {
		server = arango_topology_server(t, shard->current[i]);
		if (server == NULL || strcmp(server->id, shard->leader) == 0)
			continue;
		copy = &wt->copies[wt->ncopies++];
		(void)str_copy(copy->server, sizeof(copy->server), server->id);
		copy->reboot_id = server->reboot_id;
	}
}

static bool
same_copies(const struct worker_target *a, const struct worker_target *b)
{
	uint32_t	 i;

	for (i = 0; i < a->ncopies && i < b->ncopies; i++)
		if (strcmp(a->copies[i].server, b->copies[i].server) != 0 ||
		    a->copies[i].reboot_id != b->copies[i].reboot_id)
			return false;
	return a->ncopies == b->ncopies;
}

static void
find_target(const struct incoming_shard *s, struct arango_topology *t,
    struct worker_target *wt)
{
	const struct incoming_pair *p = s->pair;
	struct topo_database	*db;
	struct topo_collection	*coll = NULL;
	struct topo_shard	*shard;
	struct topo_server	*server;
	struct arango_server	*as;

	memset(wt, 0, sizeof(*wt));
	(void)str_copy(wt->cid, sizeof(wt->cid), p->target_cid);
	(void)str_copy(wt->coll, sizeof(wt->coll), p->target_coll);
	if ((db = arango_topology_db(t, p->db)) != NULL)
		coll = topo_database_coll_by_cid(db, p->target_cid);
	if (coll == NULL || coll->nshards != p->nshards || coll->deleted)
		return;
	shard = &coll->shards[s->index];
	(void)str_copy(wt->shard, sizeof(wt->shard), shard->name);
	if (shard->leader == NULL ||
	    (server = arango_topology_server(t, shard->leader)) == NULL ||
	    (as = arango_server_get(s->in->c->cluster,
	    shard->leader)) == NULL)
		return;
	(void)str_copy(wt->server, sizeof(wt->server), shard->leader);
	(void)str_copy(wt->url, sizeof(wt->url), as->url);
	wt->reboot_id = server->reboot_id;
	find_copies(shard, t, wt);
}

static bool
same_target(const struct worker_target *a, const struct worker_target *b)
{
	return strcmp(a->cid, b->cid) == 0 && strcmp(a->coll, b->coll) == 0 &&
	    strcmp(a->shard, b->shard) == 0 &&
	    strcmp(a->server, b->server) == 0 && strcmp(a->url, b->url) == 0 &&
	    a->reboot_id == b->reboot_id && same_copies(a, b);
}

static void
tell_target(struct incoming_shard *s, struct arango_topology *t)
{
	struct worker_target	 wt;
	struct buf		 b = BUF_INIT;

	if (s->w == NULL || s->w->peer == NULL || t == NULL)
		return;
	find_target(s, t, &wt);
	if (s->told && same_target(&wt, &s->target))
		return;
	worker_target_put(&b, &wt);
	if (control_worker_send(s->w, MSG_WORKER_TARGET, 0, &b) == 0) {
		s->told = true;
		s->target = wt;
	}
	buf_free(&b);
}

void
incoming_topology(struct control *c, struct arango_topology *t)
{
	struct control_incoming	*in = c->incoming;
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	if (in == NULL || !in->running)
		return;
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			tell_target(&p->shards[i], t);
	}
}

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

static void
give_places(struct control_incoming *in)
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
static void
free_place(struct incoming_shard *s)
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

static int
on_place_req(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct incoming_shard	*s = w->owner;
	struct control_incoming	*in = s->in;

	if (s->has_place || s->waits)
		free_place(s);		/* it asks anew */
	s->place_id = msg->id;
	s->waits = true;
	*in->waiting_end = s;
	in->waiting_end = &s->next_waiting;
	give_places(in);
	return 0;
}

static int
on_place_free(struct msg_in *msg)
{
	struct control_worker	*w = msg->ctx;
	struct incoming_shard	*s = w->owner;

	free_place(s);
	give_places(s->in);
	return 0;
}

/* ---- comparing ---------------------------------------------------------- */

static void
end_compare(struct incoming_shard *s, int err, const char *text)
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

static int
on_compare_ans(struct msg_in *msg)
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
	end_compare(s, 0, "");
	return 0;
}

static void
on_compare_late(void *arg)
{
	struct incoming_compare	*cmp = arg;

	if (cmp->shard != NULL)
		end_compare(cmp->shard, ERR_TIMEOUT, "not compared in time");
}

void
incoming_compare_cancel(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			end_compare(&p->shards[i], ERR_CANCELLED,
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

static void
tell_kept_repair(struct incoming_shard *s)
{
	if (s->repair[0] != '\0' && tell_repair(s, s->repair) == 0)
		s->repair[0] = '\0';
}

int
incoming_repair(struct incoming_shard *s, const char *why)
{
	if (s->w == NULL)
		return ERR_CLOSED;
	if (s->w->may_leave || control_worker_is_resting(s->w)) {
		/* told when it is there again, or has said that it stays */
		(void)str_copy(s->repair, sizeof(s->repair), why);
		control_worker_wake(s->w);
		return 0;
	}
	return tell_repair(s, why);
}

void
incoming_pairs_wake(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			if (p->shards[i].w != NULL)
				control_worker_wake(p->shards[i].w);
	}
}

/* ---- the process of a shard --------------------------------------------- */

static void
on_connected(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	/* A new process, or we are new to it: all of it again. */
	s->told = false;
	free_place(s);
	tell_target(s, control_topology(s->in->c));
	tell_kept_repair(s);
	incoming_wake(s->in);
}

static void
on_left(struct control_worker *w, bool asleep)
{
	struct incoming_shard	*s = w->owner;

	if (asleep)
		free_place(s);
	else
		tell_kept_repair(s);
}

static void
on_status(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	incoming_wake(s->in);
}

static void
on_changed(struct control_worker *w)
{
	struct incoming_shard	*s = w->owner;

	if (w->peer == NULL) {
		s->told = false;
		free_place(s);
		give_places(s->in);
		end_compare(s, ERR_CLOSED, "its process has ended");
	}
	incoming_wake(s->in);
}

/* What is left of a pair whose process is no more. */
struct leftover {
	struct control_incoming	*in;
	struct channel_name	 name;
	bool			 remove;	/* its record, too */
};

/* Its record, and whatever has that name with a suffix. */
static void
remove_files(const struct leftover *l)
{
	char		*path, *base, *file;
	struct dirent	*e;
	DIR		*d;
	size_t		 n;

	path = receive_record_path(l->in->c->conf->data_dir, &l->name, "");
	base = strrchr(path, '/');
	*base++ = '\0';
	n = strlen(base);
	if ((d = opendir(path)) != NULL) {
		while ((e = readdir(d)) != NULL) {
			if (strncmp(e->d_name, base, n) != 0 ||
			    (e->d_name[n] != '\0' && e->d_name[n] != '.'))
				continue;
			file = xasprintf("%s/%s", path, e->d_name);
			(void)fsx_unlink(file);
			free(file);
		}
		closedir(d);
	}
	free(path);
}

static void
on_gone(struct control_worker *w)
{
	struct leftover	*l = w->owner;

	if (l->remove)
		remove_files(l);
	l->in->leaving--;
	(void)fiber_cond_broadcast(&l->in->stopped);
	incoming_release(&l->in);
	free(l);
}

static const struct msg_rule	 from_receive[] = {
	{ MSG_WORKER_PLACE_REQ, 1, 0, 0, on_place_req },
	{ MSG_WORKER_PLACE_FREE, 1, 0, 0, on_place_free },
	{ MSG_WORKER_COMPARE_ANS, 1, 20, 4096, on_compare_ans },
	{ 0, 0, 0, 0, NULL }
};

static const struct control_worker_ops	 shard_ops = {
	.rules = from_receive, .connected = on_connected, .status = on_status,
	.changed = on_changed, .left = on_left
};

/* Of one that was told to stop: nothing that it says matters. */
static const struct control_worker_ops	 leaving_ops = {
	.gone = on_gone
};

static void
start_shard(struct incoming_shard *s)
{
	static const char *const  peers[] = {
		DAEMON_CONTROL_NAME, INCOMING_LINK
	};
	struct incoming_pair	 *p = s->pair;
	struct control		 *c = s->in->c;
	struct receive_conf	  rc = { .settle_ms = c->conf->settle_ms };
	struct buf		  b = BUF_INIT;
	char			 *name = xasprintf("receive %s", s->name);

	(void)str_copy(rc.source, sizeof(rc.source),
	    incoming_source_id(s->in));
	(void)str_copy(rc.name.db, sizeof(rc.name.db), p->db);
	rc.name.cid = p->cid_number;
	rc.name.shard = s->index;
	(void)str_copy(rc.coll, sizeof(rc.coll), p->coll);
	rc.lineage = p->lineage;
	rc.idle_ms = c->conf->idle_ms;
	receive_conf_put(&b, &rc);
	s->since_us = clock_wall_us();
	s->w = control_worker_start(c, name, DAEMON_RECEIVE, peers,
	    NITEMS(peers), &b, &shard_ops, s);
	buf_free(&b);
	free(name);
}

static void
name_of(const struct incoming_shard *s, struct channel_name *n)
{
	memset(n, 0, sizeof(*n));
	(void)str_copy(n->db, sizeof(n->db), s->pair->db);
	n->cid = s->pair->cid_number;
	n->shard = s->index;
}

/* It keeps what it knows of one that sleeps. */
static void
tell_link_nobody(const struct incoming_shard *s)
{
	struct control_worker	*link = s->in->link;
	struct channel_name	 n;
	struct buf		 b = BUF_INIT;

	if (link == NULL)
		return;
	name_of(s, &n);
	channel_name_put(&b, &n);
	(void)control_worker_send(link, MSG_LINK_NOBODY, 0, &b);
	buf_free(&b);
}

void
incoming_shard_wanted(struct control_incoming *in,
    const struct channel_name *name)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	struct buf		 b = BUF_INIT;

	INCOMING_EACH_PAIR(in, it, p) {
		if (p->cid_number != name->cid || name->shard >= p->nshards ||
		    strcmp(p->db, name->db) != 0)
			continue;
		if (p->shards[name->shard].w != NULL)
			control_worker_wake(p->shards[name->shard].w);
		return;
	}
	/* not synchronized any more */
	channel_name_put(&b, name);
	if (in->link != NULL)
		(void)control_worker_send(in->link, MSG_LINK_NOBODY, 0, &b);
	buf_free(&b);
}

static void
stop_shard(struct incoming_shard *s, bool remove)
{
	struct control_incoming	*in = s->in;
	struct leftover		*l;

	free_place(s);
	end_compare(s, ERR_CANCELLED, "it is not synchronized any more");
	if (remove)
		tell_link_nobody(s);
	if (s->w == NULL)
		return;
	l = xcalloc(1, sizeof(*l));
	l->in = incoming_hold(in);
	(void)str_copy(l->name.db, sizeof(l->name.db), s->pair->db);
	l->name.cid = s->pair->cid_number;
	l->name.shard = s->index;
	l->remove = remove;
	in->leaving++;
	s->w->ops = &leaving_ops;
	s->w->owner = l;
	control_worker_stop(s->w);
	s->w = NULL;
}

void
incoming_pairs_start(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct incoming_shard	*s;
	struct map_iter		 it;
	size_t			 starting = 0;
	uint32_t		 i;

	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++) {
			s = &p->shards[i];
			starting += s->w != NULL && s->w->peer == NULL &&
			    !s->w->asleep &&
			    (s->w->state == PROC_DOWN ||
			    s->w->state == PROC_STARTING);
		}
	}
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards && starting < STARTING_MAX; i++) {
			if (p->shards[i].w != NULL)
				continue;
			start_shard(&p->shards[i]);
			starting++;
		}
	}
}

/* ---- the list ----------------------------------------------------------- */

static void
pair_free(struct control_incoming *in, struct incoming_pair *p, bool remove)
{
	char		*key;
	uint32_t	 i;

	for (i = 0; i < p->nshards; i++) {
		stop_shard(&p->shards[i], remove);
		if (remove) {
			key = incoming_shard_key(&p->shards[i]);
			map_put(&in->forgotten, key, in);
			free(key);
		}
		free(p->shards[i].name);
	}
	in->nshards -= p->nshards;
	free(p->shards);
	free(p->db);
	free(p->coll);
	free(p->target_coll);
	free(p);
}

static void
pair_add(struct control_incoming *in, const char *key,
    const struct incoming_pair *new)
{
	struct incoming_pair	*p = xmalloc(sizeof(*p));
	struct incoming_shard	*s;
	uint32_t		 i;

	*p = *new;
	p->db = xstrdup(new->db);
	p->coll = xstrdup(new->coll);
	p->target_coll = xstrdup(new->target_coll);
	p->shards = xcalloc(p->nshards, sizeof(*p->shards));
	for (i = 0; i < p->nshards; i++) {
		s = &p->shards[i];
		s->in = in;
		s->pair = p;
		s->index = i;
		s->name = xasprintf("%s/%s/%u", p->db, p->coll, i);
		s->stored = SHARD_STATE_INACTIVE;
	}
	in->nshards += p->nshards;
	map_put(&in->pairs, key, p);
}

/* One of the list; 0 or ERR_FORMAT. */
static int
pair_read(struct json_object *o, struct incoming_pair *p)
{
	const char	*db, *coll, *target, *cid, *target_cid;
	int64_t		 n;
	struct err_msg	 m;

	memset(p, 0, sizeof(*p));
	if (json_need_string(o, "db", &db, &m) != 0 ||
	    json_need_string(o, "coll", &coll, &m) != 0 ||
	    json_need_string(o, "target_coll", &target, &m) != 0 ||
	    json_need_string(o, "cid", &cid, &m) != 0 ||
	    json_need_string(o, "target_cid", &target_cid, &m) != 0 ||
	    json_need_int(o, "shards", 1, SHARDS_MAX, &n, &m) != 0 ||
	    json_want_bool(o, "lineage", &p->lineage, &m) != 0)
		return ERR_FORMAT;
	if (str_to_u64(cid, &p->cid_number) != 0 ||
	    str_copy(p->cid, sizeof(p->cid), cid) != 0 ||
	    str_copy(p->target_cid, sizeof(p->target_cid), target_cid) != 0)
		return ERR_FORMAT;
	p->db = (char *)(uintptr_t)db;
	p->coll = (char *)(uintptr_t)coll;
	p->target_coll = (char *)(uintptr_t)target;
	p->nshards = (uint32_t)n;
	p->seen = true;
	return 0;
}

static bool
same_pair(const struct incoming_pair *a, const struct incoming_pair *b)
{
	return strcmp(a->cid, b->cid) == 0 &&
	    strcmp(a->target_cid, b->target_cid) == 0 &&
	    strcmp(a->target_coll, b->target_coll) == 0 &&
	    a->nshards == b->nshards;
}

static void
take_one(struct control_incoming *in, const struct incoming_pair *new)
{
	char			*key = pair_key(new->db, new->coll);
	struct incoming_pair	*old = map_get(&in->pairs, key);

	if (old != NULL && same_pair(old, new)) {
		old->seen = true;
		old->lineage = new->lineage;
	} else {
		/* Dropped and made again under the same name: the process of
		 * the old one ends first, the names are the same. */
		if (old != NULL) {
			(void)map_del(&in->pairs, key);
			pair_free(in, old, true);
		}
		pair_add(in, key, new);
	}
	free(key);
}

static void
drop_unseen(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;

	MAP_FOREACH(&in->pairs, it) {
		p = it.value;
		if (p->seen)
			continue;
		log_notice("%s/%s: not synchronized any more", p->db, p->coll);
		(void)map_del(&in->pairs, it.key);
		pair_free(in, p, true);
	}
}

void
incoming_pairs_take(struct control_incoming *in, struct json_object *o)
{
	struct json_object	*list = json_at(o, "pairs");
	struct incoming_pair	 new, *p;
	struct map_iter		 it;
	uint64_t		 plan = 0;
	size_t			 i;

	if (!in->running || !json_object_is_type(list, json_type_array))
		return;
	INCOMING_EACH_PAIR(in, it, p)
		p->seen = false;
	for (i = 0; i < json_object_array_length(list); i++) {
		if (pair_read(json_object_array_get_idx(list, i), &new) == 0)
			take_one(in, &new);
		else
			log_error("the inventory names a pair that is none: "
			    "%s", json_object_to_json_string(
			    json_object_array_get_idx(list, i)));
	}
	drop_unseen(in);
	if (json_want_uint(o, "plan", &plan, NULL) == 0)
		in->plan = plan;
	in->pending = json_int_or(o, "pending", 0);
	json_object_put(in->notes);
	in->notes = json_object_get(json_at(o, "notes"));
	in->has_plan = true;
}

void
incoming_pairs_stop(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;

	MAP_FOREACH(&in->pairs, it) {
		p = it.value;
		(void)map_del(&in->pairs, it.key);
		pair_free(in, p, false);
	}
}
