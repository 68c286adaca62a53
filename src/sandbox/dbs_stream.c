/*
 * dbs_stream.c - the queue of operations to one follower server.
 *
 * There is one queue per server for all shards, sent by one fiber, one request
 * at a time, so that everything arrives in the order in which it was done.
 * Requests are numbered: one whose answer was lost is sent again under its
 * number, and the follower then repeats its answer.
 *
 * POST /_internal/replicate?leader=<id>&stream=<n>&seq=<n>&sync=<bool>
 *	body: entries
 *		length:4	of what follows
 *		kind:1		enum store_tx_kind
 *		tid:8
 *		nshards:2	then for each: epoch:8 length:2 guid
 *		operations	see dbs_write.c
 *	Epoch 0: the operations of that shard are not for this follower.
 * Answer 200: {"refused":{"<guid>":errorNum,...}}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"

#define STREAM_REQUEST_BYTES	((size_t)16 << 20)
#define STREAM_TIMEOUT_MS	10000
#define STREAM_ATTEMPTS		3

struct dbs_entry {
	struct dbs_entry	*next;
	struct dbs_group	*group;
	uint64_t		*epochs;	/* of each shard of the group */
	uint64_t		 round;		/* commit that must be over */
	uint64_t		*terms;
	struct dbs_wait		*wait;		/* may be NULL */
};

struct dbs_stream {
	struct dbs		*d;
	char			*server;
	uint64_t		 id, seq;
	struct dbs_entry	*first, **last;
	struct fiber_cond	 work;
	bool			 running;
	bool			 closed;
};

/* ---- groups and entries ---------------------------------------------- */

static void
group_unref(struct dbs_group *g)
{
	size_t	 i;

	if (--g->refs > 0)
		return;
	for (i = 0; i < g->nshards; i++)
		dbs_shard_unref(&g->shards[i]);
	free(g->shards);
	buf_free(&g->ops);
	free(g);
}

static void
entry_free(struct dbs_entry *e)
{
	group_unref(e->group);
	free(e->epochs);
	free(e->terms);
	free(e);
}

static void	 stream_main(void *arg);

static struct dbs_stream *
stream_get(struct dbs *d, const char *server)
{
	struct dbs_stream	*st = map_get(&d->streams, server);

	if (st == NULL) {
		st = xcalloc(1, sizeof(*st));
		st->d = d;
		st->server = xstrdup(server);
		st->last = &st->first;
		st->id = hlc_stamp(&d->clock);
		map_put(&d->streams, server, st);
	}
	if (!st->running) {
		st->running = true;
		fiber_spawn(d->loop, stream_main, st);
	}
	return st;
}

/* Queue the group to one server, with the epochs of its shards there. */
static void
entry_put(struct dbs *d, struct dbs_group *g, const char *server, bool barrier,
    struct dbs_wait *w)
{
	struct dbs_stream	*st = stream_get(d, server);
	struct dbs_entry	*e = xcalloc(1, sizeof(*e));
	struct dbs_follower	*f;
	bool			 must = barrier;
	size_t			 i;

	e->group = g;
	g->refs++;
	e->round = d->round;
	e->epochs = xcalloc(g->nshards, sizeof(*e->epochs));
	e->terms = xcalloc(g->nshards, sizeof(*e->terms));
	for (i = 0; i < g->nshards; i++) {
		e->terms[i] = g->shards[i]->term;
		f = dbs_follower_find(g->shards[i], server);
		if (f == NULL || f->state == DBS_DROPPING)
			continue;
		e->epochs[i] = f->epoch;
		must |= f->state != DBS_SYNCING;
	}
	if (must && w != NULL) {
		e->wait = w;
		w->pending++;
	}
	*st->last = e;
	st->last = &e->next;
}

/* Is this follower among those of an earlier shard of the group? */
static bool
seen_before(const struct dbs_group *g, size_t shard, const char *id)
{
	struct dbs_follower	*f;
	size_t			 i;

	for (i = 0; i < shard; i++)
		if ((f = dbs_follower_find(g->shards[i], id)) != NULL &&
		    f->state != DBS_DROPPING)
			return true;
	return false;
}

void
dbs_replicate(struct dbs *d, enum store_tx_kind kind, uint64_t tid,
    struct dbs_shard *const *shards, size_t nshards, struct buf *ops,
    bool sync, const char *only, struct dbs_wait *w)
{
	struct dbs_group	*g = xcalloc(1, sizeof(*g));
	struct dbs_follower	*f;
	size_t			 i, k;

	g->refs = 1;
	g->kind = kind;
	g->tid = tid;
	g->sync = sync;
	g->nshards = nshards;
	g->shards = xcalloc(nshards, sizeof(struct dbs_shard *));
	for (i = 0; i < nshards; i++)
		g->shards[i] = dbs_shard_ref(shards[i]);
	g->ops = *ops;
	*ops = (struct buf)BUF_INIT;
	if (only != NULL)
		entry_put(d, g, only, true, w);
	for (i = 0; i < nshards && only == NULL; i++)
		for (k = 0; k < shards[i]->nfollowers; k++) {
			f = &shards[i]->followers[k];
			if (f->state == DBS_DROPPING) {
				/* It still stands in Current. */
				if (w == NULL)
					continue;
				w->pending++;
				f->waits = xrealloc(f->waits,
				    (f->nwaits + 1) * sizeof(*f->waits));
				f->waits[f->nwaits++] = w;
			} else if (!seen_before(g, i, f->id))
				entry_put(d, g, f->id, false, w);
		}
	group_unref(g);
	dbs_commit_request(d, false);
}

void
dbs_streams_wake(struct dbs *d)
{
	struct map_iter		 it;
	struct dbs_stream	*st;

	MAP_FOREACH(&d->streams, it) {
		st = it.value;
		if (st->first != NULL)
			fiber_cond_signal(&st->work);
	}
}

/* ---- results --------------------------------------------------------- */

/*
 * An entry was answered, or given up (refused NULL): end the sessions that
 * failed, then its wait has only their removals left.
 */
static void
entry_done(struct dbs_stream *st, struct dbs_entry *e, bool ok,
    struct json_object *refused)
{
	struct dbs_group	*g = e->group;
	struct json_object	*o;
	size_t			 i;

	for (i = 0; i < g->nshards; i++) {
		if (e->epochs[i] == 0)
			continue;
		if (ok && (refused == NULL || !json_object_object_get_ex(
		    refused, g->shards[i]->guid, &o)))
			continue;
		/*
		 * We may lead under another term by now, or not at all: then
		 * nobody knows what became of this write.
		 */
		if (e->wait != NULL && (g->shards[i]->term != e->terms[i] ||
		    g->shards[i]->role != DBS_LEADER))
			e->wait->deposed = true;
		dbs_follower_fail(g->shards[i], st->server, e->epochs[i],
		    e->wait);
	}
	dbs_wait_resolve(e->wait, false);
	entry_free(e);
}

/* ---- sending --------------------------------------------------------- */

static void
put_le(struct buf *b, uint64_t v, int n)
{
	for (; n > 0; n--, v >>= 8)
		buf_append_u8(b, (uint8_t)v);
}

static void
entry_write(const struct dbs_entry *e, struct buf *body)
{
	const struct dbs_group	*g = e->group;
	size_t			 at = body->len, i, len;

	put_le(body, 0, 4);
	buf_append_u8(body, (uint8_t)g->kind);
	put_le(body, g->tid, 8);
	put_le(body, g->nshards, 2);
	for (i = 0; i < g->nshards; i++) {
		put_le(body, e->epochs[i], 8);
		len = strlen(g->shards[i]->guid);
		put_le(body, len, 2);
		buf_append(body, g->shards[i]->guid, len);
	}
	buf_append(body, g->ops.data, g->ops.len);
	len = body->len - at - 4;
	for (i = 0; i < 4; i++)
		body->data[at + i] = (uint8_t)(len >> (8 * i));
}

/* Entries whose commit is over, up to a size; at least one.  Unlinked. */
static struct dbs_entry *
stream_take(struct dbs_stream *st, struct buf *body, bool *sync)
{
	struct dbs_entry	*list = NULL, **end = &list, *e;

	buf_reset(body);
	*sync = false;
	while ((e = st->first) != NULL && e->round <= st->d->committed) {
		if (list != NULL &&
		    body->len + e->group->ops.len > STREAM_REQUEST_BYTES)
			break;
		entry_write(e, body);
		*sync |= e->group->sync;
		if ((st->first = e->next) == NULL)
			st->last = &st->first;
		e->next = NULL;
		*end = e;
		end = &e->next;
	}
	return list;
}

static int
stream_send(struct dbs_stream *st, const struct buf *body, bool sync,
    struct sb_resp *resp)
{
	struct dbs	*d = st->d;
	const char	*url;
	char		 path[256];
	uint32_t	 timeout;
	int		 attempt, status = 0;

	snprintf(path, sizeof(path), "/_internal/replicate?leader=%s&stream=%"
	    PRIu64 "&seq=%" PRIu64 "&sync=%s", d->id, st->id, st->seq,
	    sync ? "true" : "false");
	/* A large group takes its time: reckon with 4 MiB/s at least. */
	timeout = STREAM_TIMEOUT_MS + (uint32_t)(body->len / 4096);
	for (attempt = 0; attempt < STREAM_ATTEMPTS && !st->closed; attempt++) {
		if ((url = cluster_url(d->cluster, st->server)) == NULL)
			return 0;
		status = sb_call(d->server, url, "POST", path, NULL,
		    body->data, body->len, SB_CALL_VPACK_BODY, timeout, resp);
		if (status != 0 || resp->error == ERR_TIMEOUT)
			return status;
		if (attempt + 1 < STREAM_ATTEMPTS) {
			sb_resp_free(resp);
			*resp = (struct sb_resp)SB_RESP_INIT;
			fiber_sleep_ms(50);
		}
	}
	return status;
}

/* The server did not take it: all that is queued for it has failed. */
static void
stream_failed(struct dbs_stream *st, struct dbs_entry *list,
    const struct sb_resp *resp)
{
	struct dbs_entry	*e;

	log_warning("%s: does not take operations any more (%s, status %d)",
	    st->server, resp->status != 0 ? "it refused" :
	    err_text(resp->error), resp->status);
	while ((e = list) != NULL) {
		list = e->next;
		entry_done(st, e, false, NULL);
	}
	while ((e = st->first) != NULL) {
		st->first = e->next;
		entry_done(st, e, false, NULL);
	}
	st->last = &st->first;
	/* What was sent may still execute: under an old number. */
	st->id = hlc_stamp(&st->d->clock);
	st->seq = 0;
}

static void
stream_round(struct dbs_stream *st, struct buf *body)
{
	struct dbs_entry	*list, *e;
	struct sb_resp		 resp = SB_RESP_INIT;
	struct json_object	*answer = NULL, *refused = NULL;
	bool			 sync;

	if ((list = stream_take(st, body, &sync)) == NULL) {
		fiber_cond_wait(&st->work);
		return;
	}
	st->seq++;
	if (stream_send(st, body, sync, &resp) == 200)
		answer = sb_resp_json(&resp);
	if (answer == NULL || !json_object_object_get_ex(answer, "refused",
	    &refused))
		stream_failed(st, list, &resp);
	else
		while ((e = list) != NULL) {
			list = e->next;
			entry_done(st, e, true, refused);
		}
	json_object_put(answer);
	sb_resp_free(&resp);
	/* A giant is not kept for ever. */
	if (body->cap > 2 * STREAM_REQUEST_BYTES)
		buf_free(body);
}

static void
stream_main(void *arg)
{
	struct dbs_stream	*st = arg;
	struct buf		 body = BUF_INIT;

	while (!st->closed)
		stream_round(st, &body);
	buf_free(&body);
	st->running = false;
}

void
dbs_streams_free(struct dbs *d)
{
	struct map_iter		 it;
	struct dbs_stream	*st;

	/*
	 * The process is about to end: their fibers do not run any more, so
	 * the structs are left to them.
	 */
	MAP_FOREACH(&d->streams, it) {
		st = it.value;
		st->closed = true;
	}
}
