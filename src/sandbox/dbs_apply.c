/*
 * dbs_apply.c - a follower executes what its leaders send; see dbs_stream.c
 * for the form of the request.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/dbs.h"

/* The stream that one server sends us. */
struct dbs_source {
	struct fiber_mutex	 lock;
	uint64_t		 stream, seq;
	struct buf		 answer;	/* to seq */
};

struct reader {
	const uint8_t	*p, *end;
	bool		 bad;
};

struct entry {
	enum store_tx_kind	 kind;
	uint64_t		 tid;
	size_t			 nshards;
	struct {
		uint64_t	 epoch;
		char		 guid[320];
	}			*shards;
	struct reader		 ops;
};

struct op {
	uint8_t		 what;
	uint16_t	 shard;
	const uint8_t	*doc;
	const char	*key;
	size_t		 klen;
	uint64_t	 rev;
};

/* ---- reading --------------------------------------------------------- */

static uint64_t
get_le(struct reader *r, size_t n)
{
	uint64_t	 v = 0;
	size_t		 i;

	if ((size_t)(r->end - r->p) < n) {
		r->bad = true;
		r->p = r->end;
		return 0;
	}
	for (i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	return v;
}

static const uint8_t *
get_bytes(struct reader *r, size_t n)
{
	const uint8_t	*p = r->p;

	if ((size_t)(r->end - r->p) < n) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static bool
read_doc(struct reader *r, struct op *op)
{
	const char	*s;
	size_t		 used, len;

	if (vp_validate_first(r->p, (size_t)(r->end - r->p), &used, NULL) != 0)
		return false;
	op->doc = r->p;
	r->p += used;
	if (!vp_is_object(op->doc))
		return false;
	op->key = vp_get_string(vp_obj_get(op->doc, "_key", 4), &op->klen);
	if (op->key == NULL || !docop_key_ok(op->key, op->klen))
		return false;
	if ((s = vp_get_string(vp_obj_get(op->doc, "_rev", 4), &len)) == NULL)
		return false;
	op->rev = rev_from_text(s, len);
	return op->rev != 0 && op->rev != REV_INVALID;
}

/* The next operation: 1, 0 at the end, -1 damaged.  Slices were validated the
 * first time. */
static int
read_op(struct reader *r, const struct entry *e, bool checked, struct op *op)
{
	if (r->p == r->end)
		return 0;
	memset(op, 0, sizeof(*op));
	op->what = (uint8_t)get_le(r, 1);
	op->shard = (uint16_t)get_le(r, 2);
	if (r->bad || op->shard >= e->nshards)
		return -1;
	switch (op->what) {
	case DBS_OP_PUT:
		if (!checked)
			return read_doc(r, op) ? 1 : -1;
		op->doc = get_bytes(r, vp_size(r->p));
		op->key = vp_get_string(vp_obj_get(op->doc, "_key", 4),
		    &op->klen);
		return 1;
	case DBS_OP_REMOVE:
		op->klen = (size_t)get_le(r, 2);
		op->key = (const char *)get_bytes(r, op->klen);
		return op->key != NULL && docop_key_ok(op->key, op->klen) ?
		    1 : -1;
	case DBS_OP_TRUNCATE:
		return 1;
	default:
		return -1;
	}
}

static void
entry_free(struct entry *e)
{
	free(e->shards);
	e->shards = NULL;
}

/* 1, 0 at the end, -1 damaged; free the entry only after 1. */
static int
read_entry(struct reader *r, struct entry *e)
{
	struct reader	 in = { r->p, r->p, false };
	size_t		 i, len;
	const uint8_t	*p;

	if (r->p == r->end)
		return 0;
	len = (size_t)get_le(r, 4);
	if ((p = get_bytes(r, len)) == NULL)
		return -1;
	in.p = p;
	in.end = p + len;
	memset(e, 0, sizeof(*e));
	e->kind = (enum store_tx_kind)get_le(&in, 1);
	e->tid = get_le(&in, 8);
	e->nshards = (size_t)get_le(&in, 2);
	if (in.bad || e->nshards == 0 || e->kind > STORE_TX_STREAM ||
	    e->nshards > (size_t)(in.end - in.p) / 10)
		return -1;
	e->shards = xcalloc(e->nshards, sizeof(*e->shards));
	for (i = 0; i < e->nshards; i++) {
		e->shards[i].epoch = get_le(&in, 8);
		len = (size_t)get_le(&in, 2);
		p = get_bytes(&in, len);
		if (p == NULL || len >= sizeof(e->shards[i].guid)) {
			entry_free(e);
			return -1;
		}
		memcpy(e->shards[i].guid, p, len);
	}
	e->ops = in;
	return 1;
}

/* The whole request, before anything is done. */
static bool
request_is_sound(struct reader r)
{
	struct entry	 e;
	struct op	 op;
	int		 n, k;

	while ((n = read_entry(&r, &e)) == 1) {
		while ((k = read_op(&e.ops, &e, false, &op)) == 1)
			continue;
		entry_free(&e);
		if (k < 0)
			return false;
	}
	return n == 0;
}

/* ---- sessions -------------------------------------------------------- */

void
dbs_session_end(struct dbs_shard *s)
{
	free(s->leader);
	s->leader = NULL;
	s->epoch = 0;
	s->in_sync = s->syncing = s->all_touched = false;
	map_free(&s->touched, NULL);
}

void
dbs_touch(struct dbs_shard *s, const char *key, size_t klen)
{
	if (s->syncing && !s->all_touched && !map_has_n(&s->touched, key,
	    klen))
		map_put_n(&s->touched, key, klen, NULL);
}

bool
dbs_is_touched(struct dbs_shard *s, const char *key, size_t klen)
{
	return s->all_touched || map_has_n(&s->touched, key, klen);
}

/* ---- executing ------------------------------------------------------- */

static struct dbs_shard *
session_shard(struct dbs *d, const struct entry *e, size_t i,
    const char *leader, int *errnum)
{
	struct dbs_shard	*s;

	*errnum = AE_DATA_SOURCE_NOT_FOUND;
	if ((s = dbs_shard_by_guid(d, e->shards[i].guid)) == NULL)
		return NULL;
	*errnum = s->role == DBS_LEADER ? AE_LEADER_REFUSES_REPLICATION :
	    AE_FOLLOWER_REFUSES_OPERATION;
	if (s->role == DBS_LEADER || s->leader == NULL ||
	    s->epoch != e->shards[i].epoch || strcmp(s->leader, leader) != 0)
		return NULL;
	return s;
}

static void
refuse(struct json_object *refused, const char *guid, int errnum)
{
	json_object_object_add(refused, guid, json_object_new_int(errnum));
}

static int
apply_put(struct dbs_shard *s, struct store_tx *tx, const struct op *op)
{
	struct store_conflict	 c;
	int			 r, i;

	for (i = 0; i < 64; i++) {
		r = store_put(s->d->store, tx, s->sh, op->doc, &c, NULL);
		if (r != AE_UNIQUE_CONSTRAINT_VIOLATED || !s->syncing)
			return r;
		/*
		 * A document that the leader has no more, or in another form,
		 * and that the sync has not got to yet, stands in the way.
		 */
		if (c.index == NULL || dbs_is_touched(s, c.key,
		    strlen(c.key)) || store_remove(s->d->store, tx, s->sh,
		    c.key, strlen(c.key), NULL) != 0)
			return r;
	}
	return r;
}

static int
apply_op(struct dbs_shard *s, struct store_tx *tx, const struct op *op)
{
	int	 r;

	dbs_touch(s, op->key, op->klen);
	if (op->what == DBS_OP_PUT)
		return apply_put(s, tx, op);
	r = store_remove(s->d->store, tx, s->sh, op->key, op->klen, NULL);
	return r == AE_DOCUMENT_NOT_FOUND ? 0 : r;
}

/* Waits. */
static int
apply_truncate(struct dbs_shard *s)
{
	struct buf	 pos = BUF_INIT;
	uint64_t	 epoch = s->epoch;
	int		 r;

	s->all_touched = true;
	while ((r = store_truncate(s->d->store, s->sh, &pos)) == 1) {
		dbs_commit_wait(s->d, false);
		fiber_yield();
		if (s->sh == NULL || s->epoch != epoch) {
			r = AE_FOLLOWER_REFUSES_OPERATION;
			break;
		}
	}
	buf_free(&pos);
	return r;
}

static void
apply_entry(struct dbs *d, struct entry *e, const char *leader,
    struct json_object *refused)
{
	struct dbs_shard	*s;
	struct store_tx		*tx = NULL;
	struct op		 op;
	size_t			 i;
	int			 r = 0;

	/* Also for a barrier: without a session it says nothing. */
	for (i = 0; i < e->nshards; i++)
		if (e->shards[i].epoch != 0 &&
		    session_shard(d, e, i, leader, &r) == NULL)
			refuse(refused, e->shards[i].guid, r);
	while (read_op(&e->ops, e, true, &op) == 1) {
		if (e->shards[op.shard].epoch == 0 ||
		    json_object_object_get_ex(refused,
		    e->shards[op.shard].guid, NULL))
			continue;
		if ((s = session_shard(d, e, op.shard, leader, &r)) == NULL) {
			refuse(refused, e->shards[op.shard].guid, r);
			continue;
		}
		if (op.what == DBS_OP_TRUNCATE) {
			if (tx != NULL)
				store_tx_commit(d->store, &tx);
			s = dbs_shard_ref(s);
			r = apply_truncate(s);
			dbs_shard_unref(&s);
		} else {
			if (tx == NULL)
				store_tx_begin(d->store, e->kind ==
				    STORE_TX_SINGLE ? STORE_TX_SINGLE :
				    STORE_TX_REQUEST, e->tid == 0 ? 0 :
				    e->tid + 2, &tx);
			r = apply_op(s, tx, &op);
		}
		if (r != 0) {
			log_warning("shard %s: cannot do what %s did, error "
			    "%d", e->shards[op.shard].guid, leader, r);
			refuse(refused, e->shards[op.shard].guid, r);
		}
	}
	if (tx != NULL && store_tx_commit(d->store, &tx) != 0)
		dbs_storage_failed(d);
}

static struct dbs_source *
source_get(struct dbs *d, const char *leader)
{
	struct dbs_source	*src = map_get(&d->sources, leader);

	if (src == NULL) {
		src = xcalloc(1, sizeof(*src));
		map_put(&d->sources, leader, src);
	}
	return src;
}

/*
 * Is it its turn?  A newer stream replaces an older one; what was sent under
 * an older one and arrives late finds no session either.
 */
static bool
source_accepts(struct dbs_source *src, uint64_t stream, uint64_t seq,
    bool *again)
{
	*again = stream == src->stream && seq == src->seq;
	if (*again)
		return true;
	if (stream > src->stream && seq == 1) {
		src->stream = stream;
		src->seq = 0;
	}
	return stream == src->stream && seq == src->seq + 1;
}

static void
post_replicate(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	const char		*leader = sb_param(r, "leader");
	uint64_t		 stream = sb_param_u64(r, "stream", 0);
	uint64_t		 seq = sb_param_u64(r, "seq", 0);
	struct reader		 in = { r->body, r->body + r->body_len, false };
	struct json_object	*refused, *answer;
	struct dbs_source	*src;
	struct buf		 out = BUF_INIT;
	struct entry		 e;
	bool			 again;
	const char		*text;

	if (leader == NULL || *leader == '\0' || stream == 0 || seq == 0 ||
	    strcmp(leader, d->id) == 0 || !request_is_sound(in)) {
		sb_error(r, AE_BAD_PARAMETER, "malformed replication request");
		return;
	}
	src = source_get(d, leader);
	fiber_mutex_lock(&src->lock);
	if (!source_accepts(src, stream, seq, &again)) {
		fiber_mutex_unlock(&src->lock);
		sb_error(r, AE_FOLLOWER_REFUSES_OPERATION, "out of turn");
		return;
	}
	if (!again) {
		src->seq = seq;
		refused = json_object_new_object();
		while (read_entry(&in, &e) == 1) {
			apply_entry(d, &e, leader, refused);
			entry_free(&e);
		}
		dbs_commit_wait(d, sb_param_bool(r, "sync", false));
		answer = json_object_new_object();
		json_object_object_add(answer, "refused", refused);
		text = json_object_to_json_string_ext(answer,
		    JSON_C_TO_STRING_PLAIN);
		buf_reset(&src->answer);
		buf_append_str(&src->answer, text);
		json_object_put(answer);
	}
	buf_append(&out, src->answer.data, src->answer.len);
	fiber_mutex_unlock(&src->lock);
	sb_reply_raw(r, 200, "application/json", &out);
}

void
dbs_apply_free(struct dbs *d)
{
	struct map_iter		 it;
	struct dbs_source	*src;

	MAP_FOREACH(&d->sources, it) {
		src = it.value;
		buf_free(&src->answer);
	}
	map_free(&d->sources, free);
}

const struct sb_route dbs_apply_routes[] = {
	{ SB_POST, "/_internal/replicate", SB_SUPERUSER | SB_SYSTEM,
	    post_replicate },
	{ 0 }
};
