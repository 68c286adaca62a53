/*
 * store_tail.c - one wal/tail request: from the ring or from the log files,
 * through the marker machine, under arangod's rules of position.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/store_priv.h"

struct store_tail {
	struct store	*st;
	struct store_tail *next;
	struct store_tail_req req;
	struct sresolver names;
	struct smarker	 m;
	uint64_t	 since;		/* what begins before is skipped */
	uint64_t	 first;		/* of the first batch seen */
	uint64_t	 scanned;
	uint64_t	 want;		/* tick in the next batch */
	uint64_t	 drops;		/* st->drops when names were cached */
	bool		 done;
	/* the batch at hand: in rec or in cursor */
	bool		 have;		/* one is being read */
	struct slogrec	*rec;
	struct scursor	 cursor;
	struct wrec_reader reader;
	uint64_t	 seq;
};

/* ---- log files ---------------------------------------------------------- */

static void
cursor_close(struct scursor *c)
{
	if (c->wb != NULL)
		rocksdb_writebatch_destroy(c->wb);
	if (c->it != NULL)
		rocksdb_wal_iter_destroy(c->it);
	memset(c, 0, sizeof(*c));
}

void
store_cursors_close(struct store *st)
{
	size_t	 i;

	for (i = 0; i < STORE_CURSORS; i++)
		cursor_close(&st->cursors[i]);
}

/* Take over the batch that the iterator stands on.  0, or ERR_CORRUPT. */
static int
cursor_load(struct scursor *c)
{
	struct wrec_reader	 r;
	const char		*data;

	if (c->wb != NULL)
		rocksdb_writebatch_destroy(c->wb);
	c->wb = rocksdb_wal_iter_get_batch(c->it, &c->seq);
	data = rocksdb_writebatch_data(c->wb, &c->len);
	c->data = (const uint8_t *)data;
	if (wrec_begin(&r, c->data, c->len) != 0)
		return ERR_CORRUPT;
	c->end = c->seq + (r.count > 0 ? r.count - 1 : 0);
	return 0;
}

/* 1: stands on the batch with tick, or the first behind it; 0: none. */
static int
cursor_open(struct store *st, struct scursor *c, uint64_t tick)
{
	char	*err = NULL;
	int	 r;

	cursor_close(c);
	c->it = rocksdb_get_updates_since(st->db, tick, NULL, &err);
	if (err != NULL) {
		/* Not written yet, or no such log: "nothing found". */
		strncpy(st->error, err, sizeof(st->error) - 1);
		rocksdb_free(err);
		if (c->it != NULL)
			cursor_close(c);
		c->it = NULL;
		return 0;
	}
	if (!rocksdb_wal_iter_valid(c->it)) {
		cursor_close(c);
		return 0;
	}
	return (r = cursor_load(c)) != 0 ? r : 1;
}

/* To the next batch, which begins at tick; 1, 0 at the end, negative. */
static int
cursor_next(struct store *st, struct scursor *c, uint64_t tick)
{
	char		*err = NULL;
	uint64_t	 prev;
	int		 r;

	c->prev = c->seq;
	rocksdb_wal_iter_next(c->it);
	rocksdb_wal_iter_status(c->it, &err);
	if (err != NULL || !rocksdb_wal_iter_valid(c->it)) {
		/* "Try again": it has read to where the file ended then. */
		rocksdb_free(err);
		prev = c->prev;
		r = cursor_open(st, c, tick);
		if (r == 1 && c->seq == tick)
			c->prev = prev;
		return r;
	}
	return (r = cursor_load(c)) != 0 ? r : 1;
}

/*
 * An idle iterator that stands on the batch with tick, or on the one behind
 * it (a client that got nothing goes back by one tick: R1).
 */
static bool
cursor_take(struct store *st, struct scursor *c, uint64_t tick)
{
	struct scursor	*s;
	size_t		 i;

	for (i = 0; i < STORE_CURSORS; i++) {
		s = &st->cursors[i];
		if (s->it == NULL || tick > s->end ||
		    (tick < s->seq && (s->prev == 0 || tick <= s->prev)))
			continue;
		*c = *s;
		memset(s, 0, sizeof(*s));
		return true;
	}
	return false;
}

static void
cursor_give_back(struct store *st, struct scursor *c)
{
	struct scursor	*slot;

	if (c->it == NULL)
		return;
	slot = &st->cursors[st->next_cursor++ % STORE_CURSORS];
	cursor_close(slot);
	*slot = *c;
	memset(c, 0, sizeof(*c));
}

/* ---- the next batch ----------------------------------------------------- */

static int
batch_begin(struct store_tail *t, const uint8_t *data, size_t len,
    uint64_t seq)
{
	if (wrec_begin(&t->reader, data, len) != 0)
		return ERR_CORRUPT;
	t->seq = seq;
	t->want = seq + (t->reader.count > 0 ? t->reader.count : 1);
	return 1;
}

/*
 * The batch that contains t->want, or the first behind it.  1, 0: none,
 * negative.
 */
static int
batch_next(struct store_tail *t)
{
	struct store	*st = t->st;
	int		 r;

	slogrec_unref(&t->rec);
	if ((t->rec = sring_find(&st->ring, t->want)) != NULL)
		return batch_begin(t, t->rec->data, t->rec->len, t->rec->seq);
	if (t->want > rocksdb_get_latest_sequence_number(st->db))
		return 0;
	if (t->cursor.it != NULL && t->cursor.end + 1 == t->want)
		r = cursor_next(st, &t->cursor, t->want);
	else if (t->cursor.it != NULL && t->cursor.seq == t->want)
		r = 1;
	else {
		cursor_give_back(st, &t->cursor);
		r = cursor_take(st, &t->cursor, t->want) ? 1 :
		    cursor_open(st, &t->cursor, t->want);
	}
	if (r != 1)
		return r;
	if (t->want < t->cursor.seq && t->cursor.prev != 0 &&
	    t->want > t->cursor.prev) {
		/* The batch before, which begins below: skipped unseen. */
		memset(&t->reader, 0, sizeof(t->reader));
		t->seq = t->cursor.prev;
		t->want = t->cursor.seq;
		return 1;
	}
	return batch_begin(t, t->cursor.data, t->cursor.len, t->cursor.seq);
}

/* ---- requests ----------------------------------------------------------- */

static const char *
resolve_db(void *arg, uint64_t id)
{
	struct store	*st = arg;
	struct store_db	*db;

	for (db = st->dbs; db != NULL; db = db->next)
		if (db->id == id)
			return db->name;
	return NULL;
}

static const char *
resolve_guid(void *arg, uint64_t shard, uint64_t *db)
{
	struct store_shard	*sh = store_shard_by_id(arg, shard);

	if (sh == NULL)
		return NULL;
	*db = sh->db->id;
	return sh->guid;
}

int
store_tail_begin(struct store *st, const struct store_tail_req *req,
    struct store_tail **out)
{
	struct store_tail	*t;
	int			 r;

	if (req->to == 0 || req->from > req->to)
		return AE_BAD_PARAMETER;
	if ((r = store_commit_pending(st)) != 0)
		return r;
	t = xcalloc(1, sizeof(*t));
	t->st = st;
	t->req = *req;
	t->req.chunk = MAX(t->req.chunk, (size_t)STORE_CHUNK_MIN);
	t->req.chunk = MIN(t->req.chunk, (size_t)STORE_CHUNK_MAX);
	t->names.db = resolve_db;
	t->names.guid = resolve_guid;
	t->names.arg = st;
	smarker_init(&t->m, &t->names);
	t->m.from = req->from;
	t->m.db = req->db;
	t->m.shard = req->shard;
	t->m.format = req->format;
	t->m.json_flags = req->json_flags;
	if (req->last_scanned > 0)
		t->m.limit = t->req.chunk;
	t->since = req->from;
	if (req->last_scanned > 0 && req->last_scanned < req->from)
		t->since = req->last_scanned;
	t->want = t->since;
	t->scanned = t->since;
	t->first = UINT64_MAX;
	t->drops = st->drops;
	t->next = st->tails;
	st->tails = t;
	*out = t;
	return 0;
}

static void
finish(struct store_tail *t, struct store_tail_res *res)
{
	uint64_t	 latest;

	t->done = true;
	latest = rocksdb_get_latest_sequence_number(t->st->db);
	res->last_tick = latest;
	res->last_included = t->m.last_included;
	res->last_scanned = t->scanned;
	res->from_present = t->first <= t->req.from;
	if (t->since > latest) {
		/* RocksDB finds nothing at all: see 7.7. */
		res->last_scanned = 0;
		res->from_present = t->req.from == latest;
	}
	res->check_more = res->last_included > 0 &&
	    res->last_included < latest;
}

/*
 * A part of the batch at hand: 1 when the budget is used up, 0 when the
 * batch was read to its end or to where the answer ends in it, negative.
 */
static int
read_batch(struct store_tail *t, size_t budget, size_t *used, struct buf *out)
{
	struct wrec	 rec;
	const uint8_t	*before;
	size_t		 len;
	int		 r;

	while (smarker_continue(&t->m)) {
		before = t->reader.pos;
		len = out->len;
		if ((r = wrec_next(&t->reader, &rec)) != 1)
			return r;
		if ((r = smarker_record(&t->m, &rec, out)) != 0)
			return r;
		*used += (size_t)(t->reader.pos - before) + out->len - len;
		if (budget != 0 && *used >= budget)
			return 1;
	}
	return 0;
}

/*
 * Look at the next batch.  1: it is to be read, 2: skipped, 0: the answer is
 * complete, negative.
 */
static int
enter_batch(struct store_tail *t, size_t *used)
{
	int	 r;

	if (t->scanned > t->req.to)
		return 0;
	if ((r = batch_next(t)) != 1)
		return r;
	if (t->first == UINT64_MAX)
		t->first = t->seq;
	if (t->seq > t->req.to)
		return 0;
	t->scanned = t->seq;
	if (t->seq < t->since) {	/* R1: whatever it has */
		*used += (size_t)(t->reader.end - t->reader.pos);
		return 2;
	}
	smarker_begin(&t->m, t->seq);
	return 1;
}

int
store_tail_step(struct store_tail *t, size_t budget, struct buf *out,
    struct store_tail_res *res)
{
	size_t	 used = 0;
	int	 r;

	if (t->done)
		return ERR_BAD_STATE;
	if (t->drops != t->st->drops) {
		t->drops = t->st->drops;
		smarker_forget(&t->m);
	}
	for (;;) {
		if (!t->have) {
			if ((r = enter_batch(t, &used)) < 0)
				return r;
			if (r == 0)
				break;
			if (r == 2)
				continue;
			t->have = true;
		}
		if ((r = read_batch(t, budget, &used, out)) != 0)
			return r;
		t->have = false;
		if (t->m.response >= t->req.chunk)
			break;
		t->scanned = t->m.seq;
		if (budget != 0 && used >= budget)
			return 1;
	}
	finish(t, res);
	return 0;
}

void
store_tail_free(struct store_tail **tp)
{
	struct store_tail	*t = *tp, **at;

	if (t == NULL)
		return;
	for (at = &t->st->tails; *at != NULL; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
			break;
		}
	slogrec_unref(&t->rec);
	cursor_give_back(t->st, &t->cursor);
	smarker_free(&t->m);
	free(t);
	*tp = NULL;
}

void
store_tail_close_all(struct store *st)
{
	struct store_tail	*t;

	while ((t = st->tails) != NULL)
		store_tail_free(&t);
}
