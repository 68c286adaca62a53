/*
 * receive_repair.c - both sides of a shard made the same at a cut (R7 to R9),
 * or only compared
 *
 * Everything up to the cut is applied, nothing behind it is: the shard stands
 * still, as nobody but us writes to it, so each pass over it may take a
 * snapshot of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/snapshot.h"
#include "arango/structure.h"
#include "base/err.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "receive/receive_priv.h"
#include "sync/compare.h"

#define SNAPSHOT_TTL_S	120
#define FETCH_KEYS	1000
/* Removals go out when so many have been gathered. */
#define REMOVE_KEYS	5000

/* ---- the own side ------------------------------------------------------- */

/* A failure that is not the source's: wait a little, unless it is over. */
static int
own_trouble(struct receive *r, const struct err_msg *m)
{
	int	 e;

	receive_trouble(r, "%s", m->text);
	if ((e = receive_recover(r, ARANGO_LEADER)) != 0 ||
	    (e = receive_ended(r)) != 0)
		return e;
	if (r->target_moved)
		return receive_because(r, ERR_BAD_STATE, "%s",
		    r->shard.reason);
	if (shard_is_due(&r->shard, loop_now_ms(r->loop)))
		return receive_because(r, ERR_BAD_STATE, "%s takes too long: "
		    "%s", shard_step_name(r->shard.step), r->error);
	return 0;
}

static int
open_own(struct receive *r, struct arango_write_to *to,
    struct arango_snapshot **snap)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct err_msg			 m;
	int				 e;

	for (;;) {
		if ((e = receive_target(r, to)) != 0)
			return e;
		o.cluster = r->cluster;
		o.server = to->server;
		o.ttl_s = SNAPSHOT_TTL_S;
		o.cancel = to->cancel;
		if (arango_snapshot_open(&o, snap, &m) == 0) {
			receive_trouble_over(r);
			backoff_reset(&r->retry);
			return 0;
		}
		if ((e = own_trouble(r, &m)) != 0)
			return e;
	}
}

/*
 * The pairs of the shard, once.  Snapshots that are lost make a new one; then
 * restart(arg) is told to forget what it has.  stop: the number with which
 * on_key ends it without a failure.
 */
static int
own_pairs(struct receive *r, int (*on_key)(void *arg, const char *key,
    size_t klen, uint64_t rev), void (*restart)(void *arg), void *arg,
    int stop)
{
	struct arango_snapshot	*snap = NULL;
	struct arango_write_to	 to;
	struct err_msg		 m;
	int			 e;

	for (;;) {
		restart(arg);
		if ((e = open_own(r, &to, &snap)) != 0)
			return e;
		e = arango_dump_keys(snap, to.db, to.name, on_key, arg, &m);
		arango_snapshot_close(&snap);
		if (e == 0 || e == stop)
			return e;
		if ((e = own_trouble(r, &m)) != 0)
			return e;
	}
}

struct looking {
	uint64_t	 n;
};

static void
look_restart(void *arg)
{
	((struct looking *)arg)->n = 0;
}

static int
look_key(void *arg, const char *key, size_t klen, uint64_t rev)
{
	((struct looking *)arg)->n++;
	return ERR_EXISTS;
}

/*
 * How many documents are here, about; 0 exactly when there is none.  The count
 * of a shard may be wrong after a crash, so nothing is believed only when it
 * was seen.
 */
static int
own_count(struct receive *r, uint64_t *count)
{
	struct arango_write_to	 to;
	struct looking		 look = { 0 };
	struct err_msg		 m;
	int			 num, e;

	for (;;) {
		if ((e = receive_target(r, &to)) != 0)
			return e;
		if (arango_collection_count(to.cluster, to.server, to.db,
		    to.name, count, &num, &m) == 0)
			break;
		if ((e = own_trouble(r, &m)) != 0)
			return e;
	}
	if (*count != 0)
		return 0;
	e = own_pairs(r, look_key, look_restart, &look, ERR_EXISTS);
	*count = look.n;
	return e == ERR_EXISTS ? 0 : e;
}

static void
say_at_cut(struct receive *r, uint64_t count)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, count);
	receive_up(r, MSG_CH_AT_CUT, &b);
	buf_free(&b);
}

/* ---- an empty shard ----------------------------------------------------- */

static int
put_lines(struct receive *r)
{
	const char	*p = (const char *)r->batch.data, *nl;
	const char	*end = p + r->batch.len;
	struct err_msg	 m;
	int		 took, e;

	while (p < end) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (nl == p) {
			p++;
			continue;
		}
		took = fold_doc(r->docs_fold, p, (size_t)(nl - p), false, &m);
		if (took < 0) {
			fold_reset(r->docs_fold);
			return receive_because(r, ERR_STORAGE, "a document of "
			    "the source cannot be read: %s", m.text);
		}
		if (took == FOLD_FULL) {
			if ((e = receive_apply_fold(r, r->docs_fold,
			    APPLY_STREAM)) != 0)
				return e;
			continue;
		}
		r->repair_done++;
		p = nl + 1;
	}
	return receive_apply_fold(r, r->docs_fold, APPLY_STREAM);
}

static int
still_repairing(struct receive *r)
{
	int	 e;

	if ((e = receive_ended(r)) != 0)
		return e;
	if (r->target_moved)
		return receive_because(r, ERR_BAD_STATE, "%s",
		    r->shard.reason);
	if (shard_is_due(&r->shard, loop_now_ms(r->loop)))
		return receive_because(r, ERR_BAD_STATE, "%s is cut off: the "
		    "rest is compared", shard_step_name(r->shard.step));
	return 0;
}

static int
copy_all(struct receive *r)
{
	struct sync_pos	 none;
	bool		 boundary;
	int		 e;

	r->repair_total = r->sub.cut.documents;
	receive_event(r, SHARD_EV_CUT_EMPTY, "nothing is here, %" PRIu64
	    " documents to copy", r->repair_total);
	if ((e = receive_mark_repairing(r)) != 0)
		return e;
	for (;;) {
		if (inbox_has(&r->in.snap)) {
			inbox_take(&r->in.snap, &r->batch, &boundary, &none);
			receive_credit(r);
			if ((e = put_lines(r)) != 0)
				return e;
			receive_status(r);
		} else if (r->sub.snap_ended)
			break;
		else
			receive_wait(r, r->shard.deadline_ms);
		if ((e = still_repairing(r)) != 0)
			return e;
	}
	if (r->repair_done != r->sub.snap_documents)
		return receive_because(r, ERR_BAD_STATE, "of %" PRIu64
		    " documents %" PRIu64 " have come", r->sub.snap_documents,
		    r->repair_done);
	receive_event(r, SHARD_EV_COPIED, "%" PRIu64 " documents were copied",
	    r->repair_done);
	r->filled = true;
	return 0;
}

/* ---- comparing ---------------------------------------------------------- */

struct comparison {
	struct receive		*r;
	struct cmp_sum		 mine, theirs;
	struct cmp_set		 diff;
	struct cmp_round	*rounds;
	size_t			 n;
	const struct cmp_round	*round;		/* the present one */
	struct cmp_pairs	*pairs;
	struct buf		 keys;		/* to fetch */
	size_t			 nkeys;
	struct doc_batch	 surplus;
	uint64_t		 removed, fetched;
};

static void
comparison_free(struct comparison *c)
{
	cmp_sum_free(&c->mine);
	cmp_sum_free(&c->theirs);
	cmp_set_free(&c->diff);
	cmp_pairs_free(&c->pairs);
	doc_batch_free(&c->surplus);
	buf_free(&c->keys);
	free(c->rounds);
}

static void
sum_restart(void *arg)
{
	struct comparison	*c = arg;
	uint32_t		 n = c->theirs.nbuckets;

	cmp_sum_free(&c->mine);
	(void)cmp_sum_init(&c->mine, n);
}

static int
sum_key(void *arg, const char *key, size_t klen, uint64_t rev)
{
	struct comparison	*c = arg;

	cmp_sum_add(&c->mine, key, klen, rev);
	return 0;
}

/* Both sums, and where they differ. */
static int
compare_sums(struct comparison *c)
{
	struct receive		*r = c->r;
	struct inbox_piece	*p;
	struct rbuf		 m;
	uint8_t			 flags;
	int			 e;

	if ((e = receive_piece(r, MSG_CH_SUMS, 0, &p, &m, &flags)) != 0)
		return e;
	e = cmp_sum_decode(&m, &c->theirs);
	free(p);
	if (e != 0)
		return receive_because(r, ERR_BAD_STATE, "the sums of the "
		    "source: %s", err_text(e));
	if ((e = own_pairs(r, sum_key, sum_restart, c, 0)) != 0)
		return e;
	if (cmp_diff(&c->mine, &c->theirs, &c->diff) != 0)
		return receive_because(r, ERR_BAD_STATE, "the sums of both "
		    "sides do not fit");
	return 0;
}

/* ---- rounds ------------------------------------------------------------- */

static void
round_restart(void *arg)
{
	cmp_pairs_reset(((struct comparison *)arg)->pairs);
}

static int
round_key(void *arg, const char *key, size_t klen, uint64_t rev)
{
	struct comparison	*c = arg;

	if (!cmp_wants(&c->diff, c->round, key, klen))
		return 0;
	return cmp_pairs_local(c->pairs, key, klen, rev);
}

/* More pairs than fit: two rounds out of one. */
static int
split_round(struct comparison *c, size_t i)
{
	struct cmp_round	 half[2];

	if (cmp_round_split(&c->rounds[i], half) != 0)
		return receive_because(c->r, ERR_STORAGE, "keys that cannot "
		    "be told apart by their hash");
	c->rounds = xrealloc(c->rounds, (c->n + 1) * sizeof(*c->rounds));
	memmove(&c->rounds[i + 2], &c->rounds[i + 1],
	    (c->n - i - 1) * sizeof(*c->rounds));
	c->rounds[i] = half[0];
	c->rounds[i + 1] = half[1];
	c->n++;
	return 0;
}

static int
take_pairs(struct comparison *c, struct rbuf *m, bool fetch)
{
	const uint8_t	*key;
	size_t		 len;
	uint64_t	 rev;
	int		 e;

	while (m->left != 0) {
		if ((e = cmp_pair_get(m, &key, &len, &rev)) != 0)
			return receive_because(c->r, ERR_BAD_STATE, "pairs of "
			    "the source: %s", err_text(e));
		if (!cmp_wants(&c->diff, c->round, key, len))
			return receive_because(c->r, ERR_BAD_STATE, "the "
			    "source sends pairs that were not asked for");
		if (!cmp_pairs_remote(c->pairs, key, len, rev) || !fetch)
			continue;
		put_bytes(&c->keys, key, len);
		c->nkeys++;
	}
	return 0;
}

/* The pairs of the source in this round. */
static int
their_pairs(struct comparison *c, bool fetch)
{
	struct receive		*r = c->r;
	struct inbox_piece	*p;
	struct buf		 b = BUF_INIT;
	struct rbuf		 m;
	uint32_t		 request = ++r->request;
	uint8_t			 flags = 0;
	int			 e;

	put_u32(&b, request);
	put_u64(&b, c->round->lo);
	put_u64(&b, c->round->hi);
	cmp_set_encode(&b, &c->diff);
	receive_up(r, MSG_CH_DIFF, &b);
	buf_free(&b);
	do {
		if ((e = receive_piece(r, MSG_CH_PAIRS, request, &p, &m,
		    &flags)) != 0)
			return e;
		e = take_pairs(c, &m, fetch);
		free(p);
	} while (e == 0 && (flags & CHANNEL_LAST) == 0);
	return e;
}

static int
remove_pair(void *arg, const void *key, size_t len, uint64_t rev)
{
	struct comparison	*c = arg;

	doc_batch_remove(c->r, &c->surplus, key, len);
	c->removed++;
	if (c->surplus.n < REMOVE_KEYS)
		return 0;
	return doc_batch_apply(c->r, &c->surplus, APPLY_STREAM);
}

static int
remove_surplus(struct comparison *c)
{
	int	 e;

	if ((e = receive_mark_repairing(c->r)) != 0)
		return e;
	buf_reset(&c->r->batch);
	if ((e = cmp_pairs_surplus(c->pairs, remove_pair, c)) != 0)
		return e;
	return doc_batch_apply(c->r, &c->surplus, APPLY_STREAM);
}

static int
fetch_missing(struct comparison *c)
{
	struct receive	*r = c->r;
	struct rbuf	 m = { c->keys.data, c->keys.len };
	struct buf	 some = BUF_INIT;
	const uint8_t	*key;
	size_t		 len;
	uint32_t	 n = 0;
	int		 e = 0;

	if (c->nkeys != 0 && (e = receive_mark_repairing(r)) != 0)
		return e;
	while (e == 0 && m.left != 0) {
		if ((e = get_bytes(&m, &key, &len)) != 0)
			break;
		put_bytes(&some, key, len);
		if (++n < FETCH_KEYS && m.left != 0)
			continue;
		if ((e = still_repairing(r)) == 0)
			e = receive_fetch(r, &some, n, APPLY_STREAM);
		c->fetched += n;
		r->repair_done += n;
		receive_status(r);
		buf_reset(&some);
		n = 0;
	}
	buf_free(&some);
	buf_reset(&c->keys);
	c->nkeys = 0;
	return e;
}

enum {
	PASS_REMOVE	= 1,
	PASS_FETCH	= 2
};

static int
run_round(struct comparison *c, size_t i, unsigned int pass)
{
	int	 e;

	c->round = &c->rounds[i];
	/* progress: what a step may take is what one of them may take */
	if (i != 0)
		receive_event(c->r, SHARD_EV_DIFFERS, "round %zu of %zu",
		    i + 1, c->n);
	if ((e = own_pairs(c->r, round_key, round_restart, c,
	    ERR_TOO_BIG)) != 0)
		return e;
	if ((e = their_pairs(c, (pass & PASS_FETCH) != 0)) != 0)
		return e;
	if ((pass & PASS_REMOVE) != 0 && (e = remove_surplus(c)) != 0)
		return e;
	if (pass == (PASS_REMOVE | PASS_FETCH))
		receive_event(c->r, SHARD_EV_REMOVED, "%" PRIu64 " documents "
		    "were removed", c->removed);
	return (pass & PASS_FETCH) != 0 ? fetch_missing(c) : 0;
}

static int
run_pass(struct comparison *c, unsigned int pass)
{
	size_t	 i;
	int	 e;

	for (i = 0; i < c->n; i++) {
		if ((e = still_repairing(c->r)) != 0)
			return e;
		e = run_round(c, i, pass);
		if (e == ERR_TOO_BIG) {
			if ((e = split_round(c, i)) != 0)
				return e;
			/* what fits no more is two rounds: two passes */
			if (pass == (PASS_REMOVE | PASS_FETCH))
				return ERR_TOO_BIG;
			i--;
			continue;
		}
		if (e != 0)
			return e;
	}
	return 0;
}

/* R7: all surplus is gone before the first document is put. */
static int
run_rounds(struct comparison *c)
{
	int	 e = ERR_TOO_BIG;

	if (c->n == 1)
		e = run_pass(c, PASS_REMOVE | PASS_FETCH);
	if (e != ERR_TOO_BIG)
		return e;
	if ((e = run_pass(c, PASS_REMOVE)) != 0)
		return e;
	receive_event(c->r, SHARD_EV_REMOVED, "%" PRIu64 " documents were "
	    "removed", c->removed);
	return run_pass(c, PASS_FETCH);
}

static uint64_t
pairs_expected(const struct comparison *c)
{
	uint64_t	 n = 0;
	size_t		 i;

	for (i = 0; i < c->n; i++)
		n += c->rounds[i].expected;
	return n;
}

static int
make_same(struct comparison *c)
{
	struct receive	*r = c->r;
	int		 e;

	if ((e = compare_sums(c)) != 0)
		return e;
	if (c->diff.count == 0) {
		receive_event(r, SHARD_EV_SAME, "both sides hold the same "
		    "%" PRIu64 " documents", c->mine.count);
		return 0;
	}
	if ((e = cmp_rounds(&c->mine, &c->theirs, &c->diff,
	    receive_limits.round_pairs, &c->rounds, &c->n)) != 0)
		return receive_because(r, ERR_BAD_STATE, "rounds: %s",
		    err_text(e));
	r->repair_total = pairs_expected(c);
	receive_event(r, SHARD_EV_DIFFERS, "%u of %u buckets differ, %" PRIu64
	    " documents here, %" PRIu64 " at the source", c->diff.count,
	    c->diff.nbuckets, c->mine.count, c->theirs.count);
	c->pairs = cmp_pairs_new(receive_limits.pairs_bytes);
	if ((e = run_rounds(c)) != 0)
		return e;
	receive_event(r, SHARD_EV_COPIED, "%" PRIu64 " documents were "
	    "removed, %" PRIu64 " fetched", c->removed, c->fetched);
	return 0;
}

/* ---- the repair --------------------------------------------------------- */

static void
repaired(struct receive *r, const struct channel_cut *cut, uint64_t started)
{
	struct shard_record	*rec = &r->record.shard;

	receive_up_text(r, MSG_CH_REPAIRED, NULL);
	commit_compared(r->commit, started);
	if (!commit_is_suspect(r->commit))
		r->record.suspect_us = 0;
	rec->lineage = r->filled || r->conf.lineage ||
	    (rec->lineage && strcmp(rec->target_cid, r->target.cid) == 0);
	if (cut->leader_changes != 0)
		rec->leader_changes = cut->leader_changes;
	receive_set_floor(r, cut->pos.tick);
	r->repair[0] = '\0';
	r->repairing = false;
	r->log_ended = false;
	backoff_reset(&r->again);
	receive_applied(r, &cut->pos);
}

int
receive_repair(struct receive *r)
{
	struct channel_cut	 cut = r->sub.cut;
	struct comparison	 c = { .r = r };
	uint64_t		 started = loop_now_ms(r->loop), count;
	int			 e;

	r->repair_done = r->repair_total = 0;
	r->filled = r->repairing = r->target_moved = false;
	r->sub.snap_ended = r->sub.caught_up = false;
	receive_event(r, SHARD_EV_SNAPSHOT, "the cut is at tick %" PRIu64,
	    cut.pos.tick);
	receive_settle(r);
	commit_restart(r->commit);
	if ((e = own_count(r, &count)) == 0) {
		say_at_cut(r, count);
		if (count == 0)
			e = copy_all(r);
		else {
			receive_event(r, SHARD_EV_CUT_FILLED, "%" PRIu64
			    " documents are here", count);
			e = make_same(&c);
		}
	}
	comparison_free(&c);
	if (e != 0)
		return e;
	if (r->target_moved)
		return receive_because(r, ERR_BAD_STATE, "%s",
		    r->shard.reason);
	r->sub.has_cut = false;
	inbox_join(&r->in);
	repaired(r, &cut, started);
	receive_free_place(r);
	/* something came meanwhile that only another repair puts right */
	if (r->shard.step == SHARD_SNAPSHOT)
		return receive_because(r, ERR_BAD_STATE, "repaired, and once "
		    "more: %s", r->shard.reason);
	return 0;
}

/* ---- comparing only ----------------------------------------------------- */

static void
sum_text(const struct cmp_sum *s, char text[64])
{
	uint64_t	 x = 0, sum = 0;
	uint32_t	 i;

	for (i = 0; i < s->nbuckets; i++) {
		x ^= s->buckets[i].xor;
		sum += s->buckets[i].sum;
	}
	snprintf(text, 64, "%016" PRIx64 "%016" PRIx64 "%016" PRIx64,
	    s->count, x, sum);
}

static void
compare_answer(struct receive *r, int err, const char *sentence,
    uint64_t pairs, const char *source, const char *target)
{
	struct buf	 b = BUF_INIT;
	struct peer	*control = worker_control(r->w);

	r->comparing.wanted = r->comparing.asked = false;
	put_i32(&b, err);
	put_str(&b, sentence);
	put_u64(&b, pairs);
	put_str(&b, source);
	put_str(&b, target);
	if (control != NULL)
		(void)peer_send_buf(control, MSG_WORKER_COMPARE_ANS,
		    r->comparing.id, &b);
	buf_free(&b);
}

void
receive_compare_failed(struct receive *r, const char *fmt, ...)
{
	char	 text[400];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (r->comparing.wanted)
		compare_answer(r, ERR_BAD_STATE, text, 0, "", "");
}

/* At least so many pairs differ: cheap, and 0 only when none does. */
static uint64_t
pairs_differ(const struct comparison *c)
{
	const struct cmp_bucket	*a, *b;
	uint64_t		 n = 0, d;
	uint32_t		 i;

	for (i = 0; i < c->diff.nbuckets; i++) {
		if (!cmp_set_has(&c->diff, i))
			continue;
		a = &c->mine.buckets[i];
		b = &c->theirs.buckets[i];
		d = a->count > b->count ? a->count - b->count :
		    b->count - a->count;
		n += MAX(d, 1);
	}
	return n;
}

int
receive_compare(struct receive *r)
{
	struct comparison	 c = { .r = r };
	uint64_t		 started = loop_now_ms(r->loop), count, pairs;
	char			 source[64], target[64];
	int			 e;

	r->target_moved = false;
	if ((e = own_count(r, &count)) == 0) {
		say_at_cut(r, count);
		e = compare_sums(&c);
	}
	if (e != 0) {
		comparison_free(&c);
		return e;
	}
	receive_up_text(r, MSG_CH_REPAIRED, NULL);
	r->sub.has_cut = false;
	inbox_join(&r->in);
	sum_text(&c.theirs, source);
	sum_text(&c.mine, target);
	pairs = pairs_differ(&c);
	log_info("%s: compared %" PRIu64 " documents at tick %" PRIu64 ": %s",
	    r->name, c.mine.count, r->sub.cut.pos.tick, pairs == 0 ?
	    "the same" : "they differ");
	if (r->comparing.wanted)
		compare_answer(r, 0, "", pairs, source, target);
	if (pairs == 0) {
		commit_compared(r->commit, started);
		if (!commit_is_suspect(r->commit))
			r->record.suspect_us = 0;
	} else
		receive_event(r, SHARD_EV_VERIFY, "a comparison has found "
		    "%" PRIu64 " pairs or more that differ", pairs);
	comparison_free(&c);
	return 0;
}
