/*
 * dbs_trx.c - stream transactions on a DB-server: its part of what a
 * coordinator runs.  See dbserver.h for the requests.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/dbs.h"

/* --transaction.streaming-lock-timeout */
#define TRX_LOCK_MS		8000
#define TRX_REMEMBER_MS		600000	/* how it ended */
#define TRX_MAX			10000

static const char running[] = "running", committed[] = "committed",
    aborted[] = "aborted";

/* ---- life ------------------------------------------------------------ */

static void
trx_end(struct dbs_trx *t, const char *status)
{
	size_t	 i;

	t->status = status;
	for (i = 0; i < t->nshards; i++)
		dbs_shard_unref(&t->shards[i]);
	free(t->shards);
	t->shards = NULL;
	t->nshards = 0;
	buf_free(&t->ops);
}

static void
trx_abort(struct dbs *d, struct dbs_trx *t)
{
	if (t->tx == NULL)
		return;
	store_tx_abort(d->store, &t->tx);
	trx_end(t, aborted);
	t->idle_since_ms = loop_now_ms(d->loop);
}

static void
trx_free(void *arg)
{
	struct dbs_trx	*t = arg;

	trx_end(t, aborted);
	free(t->db);
	free(t);
}

void
dbs_trx_abort_shard(struct dbs *d, const struct dbs_shard *s)
{
	struct map_iter	 it;
	struct dbs_trx	*t;
	size_t		 i;

	MAP_FOREACH(&d->trxs, it) {
		t = it.value;
		for (i = 0; i < t->nshards && t->shards[i] != s; i++)
			continue;
		if (i == t->nshards || t->tx == NULL)
			continue;
		if (t->busy)
			t->doomed = true;
		else
			trx_abort(d, t);
	}
}

void
dbs_trx_expire(struct dbs *d)
{
	struct map_iter	 it;
	struct dbs_trx	*t;
	uint64_t	 now = loop_now_ms(d->loop);

	MAP_FOREACH(&d->trxs, it) {
		t = it.value;
		if (t->busy)
			continue;
		if (t->tx != NULL && now - t->idle_since_ms > DBS_TRX_IDLE_MS) {
			log_info("transaction %" PRIu64 ": idle too long, "
			    "aborted", t->id);
			trx_abort(d, t);
		} else if (t->tx == NULL &&
		    now - t->idle_since_ms > TRX_REMEMBER_MS) {
			map_del_u64(&d->trxs, t->id);
			trx_free(t);
		}
	}
}

void
dbs_trx_free_all(struct dbs *d)
{
	struct map_iter	 it;
	struct dbs_trx	*t;

	MAP_FOREACH(&d->trxs, it) {
		t = it.value;
		if (t->tx != NULL)
			store_tx_abort(d->store, &t->tx);
	}
	map_free(&d->trxs, trx_free);
}

uint16_t
dbs_trx_shard(struct dbs_trx *t, struct dbs_shard *s)
{
	size_t	 i;

	for (i = 0; i < t->nshards; i++)
		if (t->shards[i] == s)
			return (uint16_t)i;
	t->shards = xrealloc(t->shards, (i + 1) * sizeof(struct dbs_shard *));
	t->shards[t->nshards++] = dbs_shard_ref(s);
	return (uint16_t)i;
}

/* ---- requests -------------------------------------------------------- */

/* Room for one more: how those that ended did so is forgotten if need be. */
static bool
trx_make_room(struct dbs *d)
{
	struct map_iter	 it;
	struct dbs_trx	*t;

	if (map_count(&d->trxs) < TRX_MAX)
		return true;
	MAP_FOREACH(&d->trxs, it) {
		t = it.value;
		if (t->tx == NULL && !t->busy) {
			map_del_u64(&d->trxs, t->id);
			trx_free(t);
		}
	}
	return map_count(&d->trxs) < TRX_MAX;
}

static struct dbs_trx *
trx_begin(struct sb_req *r, uint64_t id)
{
	struct dbs	*d = dbs_of(r);
	struct dbs_trx	*t;
	int		 e;

	if (!trx_make_room(d)) {
		sb_error(r, AE_RESOURCE_LIMIT, "too many transactions");
		return NULL;
	}
	t = xcalloc(1, sizeof(*t));
	t->id = id;
	t->db = xstrdup(r->db);
	t->status = running;
	/* A leader's ids are 1 modulo 4, where coordinators' are 0. */
	e = store_tx_begin(d->store, STORE_TX_STREAM, id + 1, &t->tx);
	if (e != 0) {
		trx_free(t);
		dbs_error(r, e, NULL);
		return NULL;
	}
	map_put_u64(&d->trxs, id, t);
	return t;
}

static struct dbs_trx *
trx_find(struct sb_req *r, uint64_t id)
{
	struct dbs_trx	*t = map_get_u64(&dbs_of(r)->trxs, id);

	return t != NULL && strcmp(t->db, r->db) == 0 ? t : NULL;
}

static void
trx_not_found(struct sb_req *r, uint64_t id)
{
	sb_error(r, AE_TRANSACTION_NOT_FOUND, "transaction '%" PRIu64
	    "' not found", id);
}

/* Until nobody else uses it; NULL: answered.  Waits. */
static struct dbs_trx *
trx_lock(struct sb_req *r, uint64_t id)
{
	struct dbs	*d = dbs_of(r);
	uint64_t	 end = loop_now_ms(d->loop) + TRX_LOCK_MS;
	struct dbs_trx	*t;

	while ((t = trx_find(r, id)) != NULL && t->busy) {
		if (loop_now_ms(d->loop) >= end) {
			sb_error(r, AE_LOCKED, "transaction '%" PRIu64
			    "' is already in use", id);
			return NULL;
		}
		fiber_sleep_ms(5);
	}
	if (t == NULL) {
		trx_not_found(r, id);
		return NULL;
	}
	t->busy = true;
	return t;
}

int
dbs_trx_enter(struct sb_req *r, struct dbs_trx **out)
{
	const char	*h = sb_req_header(r, DBS_TRX_HEADER), *rest;
	struct dbs_trx	*t;
	uint64_t	 id;
	size_t		 n;

	*out = NULL;
	if (h == NULL)
		return 0;
	for (n = 0; isdigit((unsigned char)h[n]); n++)
		continue;
	rest = h + n;
	if (str_to_u64_n(h, n, &id) != 0 || id == 0 ||
	    id > UINT64_MAX - 4 ||
	    (*rest != '\0' && strcmp(rest, " begin") != 0)) {
		sb_error(r, AE_BAD_PARAMETER, "invalid transaction ID");
		return -1;
	}
	if (*rest != '\0' && map_get_u64(&dbs_of(r)->trxs, id) == NULL &&
	    trx_begin(r, id) == NULL)
		return -1;
	if ((t = trx_lock(r, id)) == NULL)
		return -1;
	if (t->tx == NULL) {
		if (t->status == aborted)
			sb_error(r, AE_TRANSACTION_ABORTED, NULL);
		else
			trx_not_found(r, id);
		dbs_trx_leave(dbs_of(r), t);
		return -1;
	}
	*out = t;
	return 0;
}

void
dbs_trx_leave(struct dbs *d, struct dbs_trx *t)
{
	if (t == NULL)
		return;
	t->busy = false;
	if (t->doomed)
		trx_abort(d, t);
	t->idle_since_ms = loop_now_ms(d->loop);
}

static void
trx_answer(struct sb_req *r, uint64_t id, const char *status)
{
	struct json_object	*o, *result;
	char			 text[24];

	snprintf(text, sizeof(text), "%" PRIu64, id);
	result = json_object_new_object();
	json_object_object_add(result, "id", json_object_new_string(text));
	json_object_object_add(result, "status",
	    json_object_new_string(status));
	o = json_object_new_object();
	json_object_object_add(o, "result", result);
	sb_reply_ok(r, 200, o);
}

static bool
path_id(struct sb_req *r, uint64_t *id)
{
	if (str_to_u64(r->seg[2], id) == 0 && *id != 0)
		return true;
	sb_error(r, AE_BAD_PARAMETER, "bad transaction ID");
	return false;
}

static void
get_status(struct sb_req *r)
{
	struct dbs_trx	*t;
	uint64_t	 id;

	if (!path_id(r, &id))
		return;
	if ((t = trx_find(r, id)) == NULL)
		trx_not_found(r, id);
	else
		trx_answer(r, id, t->status);
}

/* Which shards could not be committed any more?  No truncate may be under way
 * either, for that holds the shard alone.  Waits. */
static int
trx_check(struct sb_req *r, struct dbs_trx *t)
{
	size_t	 i;
	int	 e;

	for (i = 0; i < t->nshards; i++)
		if (t->shards[i]->exclusive) {
			dbs_shard_wait_unlocked(t->shards[i]);
			i = (size_t)-1;
		}
	if (t->doomed)
		return AE_SHARD_LEADER_RESIGNED;
	for (i = 0; i < t->nshards; i++)
		if ((e = dbs_shard_check_write(t->shards[i], r)) != AE_OK)
			return e;
	return AE_OK;
}

static int
trx_commit(struct sb_req *r, struct dbs_trx *t)
{
	struct dbs		*d = dbs_of(r);
	struct dbs_shard	**shards;
	struct dbs_wait		 w = { 0 };
	size_t			 i, n;
	bool			 sync;
	int			 e;

	/* The coordinator passes on what the client gave at the begin. */
	sync = t->sync || sb_param_bool(r, "waitForSync", false);
	if ((e = trx_check(r, t)) != AE_OK ||
	    (e = store_tx_commit(d->store, &t->tx)) != AE_OK) {
		if (t->tx != NULL)
			trx_abort(d, t);
		else
			trx_end(t, aborted);
		return e;
	}
	n = t->nshards;
	shards = xcalloc(n + 1, sizeof(*shards));
	for (i = 0; i < n; i++) {
		shards[i] = dbs_shard_ref(t->shards[i]);
		shards[i]->writing++;
	}
	if (n > 0 && t->ops.len > 0)
		dbs_replicate(d, STORE_TX_STREAM, t->id, shards, n, &t->ops,
		    sync, NULL, &w);
	trx_end(t, committed);
	e = dbs_wait_finish(d, &w, sync);
	for (i = 0; i < n; i++) {
		shards[i]->writing--;
		fiber_cond_broadcast(&shards[i]->idle);
		dbs_shard_unref(&shards[i]);
	}
	free(shards);
	return e;
}

static void
put_commit(struct sb_req *r)
{
	struct dbs_trx	*t;
	uint64_t	 id;
	int		 e = AE_OK;

	if (!path_id(r, &id) || (t = trx_lock(r, id)) == NULL)
		return;
	if (t->tx != NULL)
		e = trx_commit(r, t);
	else if (t->status != committed)
		e = AE_TRANSACTION_ABORTED;
	if (e == AE_OK)
		trx_answer(r, id, committed);
	else
		dbs_error(r, e, NULL);
	dbs_trx_leave(dbs_of(r), t);
}

static void
delete_abort(struct sb_req *r)
{
	struct dbs_trx	*t;
	uint64_t	 id;

	if (!path_id(r, &id) || (t = trx_lock(r, id)) == NULL)
		return;
	if (t->status == committed)
		sb_error(r, AE_TRANSACTION_DISALLOWED,
		    "transaction is already committed");
	else {
		trx_abort(dbs_of(r), t);
		trx_answer(r, id, aborted);
	}
	dbs_trx_leave(dbs_of(r), t);
}

static void
get_list(struct sb_req *r)
{
	struct json_object	*o, *list, *e;
	struct map_iter		 it;
	struct dbs_trx		*t;
	char			 text[24];

	list = json_object_new_array();
	MAP_FOREACH(&dbs_of(r)->trxs, it) {
		t = it.value;
		if (t->tx == NULL || strcmp(t->db, r->db) != 0)
			continue;
		snprintf(text, sizeof(text), "%" PRIu64, t->id);
		e = json_object_new_object();
		json_object_object_add(e, "id", json_object_new_string(text));
		json_object_object_add(e, "state",
		    json_object_new_string(running));
		json_object_array_add(list, e);
	}
	o = json_object_new_object();
	json_object_object_add(o, "transactions", list);
	sb_reply_ok(r, 200, o);
}

const struct sb_route dbs_trx_routes[] = {
	{ SB_GET, "/_api/transaction", SB_SUPERUSER, get_list },
	{ SB_GET, "/_api/transaction/*", SB_SUPERUSER, get_status },
	{ SB_PUT, "/_api/transaction/*", SB_SUPERUSER, put_commit },
	{ SB_DELETE, "/_api/transaction/*", SB_SUPERUSER, delete_abort },
	{ 0 }
};
