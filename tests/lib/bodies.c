/* bodies.c - see bodies.h */
#include <string.h>

#include "base/err.h"
#include "inventory/inventory.h"
#include "ipc/codec.h"
#include "link/link.h"
#include "receive/receive.h"
#include "receive/receive_record.h"
#include "send/send.h"
#include "sync/channel.h"
#include "sync/compare.h"
#include "sync/route.h"
#include "sync/shard.h"
#include "tail/tail.h"
#include "worker/worker.h"
#include "bodies.h"

/* As long as it may be. */
#define FILL(field)	fill((field), sizeof(field))

static void
fill(char *p, size_t n)
{
	memset(p, 'x', n - 1);
	p[n - 1] = '\0';
}

static void
fill_pos(struct sync_pos *p)
{
	memset(p, 0, sizeof(*p));
	FILL(p->server);
	p->reboot_id = p->server_id = p->tick = UINT64_MAX;
	p->has_proof = p->proof_vpack = true;
	p->proof_from = 1;
	p->proof_tick = UINT64_MAX - 1;
	p->proof_crc = UINT32_MAX;
	p->epoch = 3;
	p->offset = UINT64_MAX;
}

static void
fill_record(struct shard_record *r)
{
	memset(r, 0, sizeof(*r));
	FILL(r->cid);
	FILL(r->target_cid);
	FILL(r->target_server);
	r->target_reboot = r->leader_changes = UINT64_MAX;
	r->lineage = r->repairing = true;
	fill_pos(&r->pos);
}

static void
fill_name(struct channel_name *n)
{
	memset(n, 0, sizeof(*n));
	FILL(n->db);
	n->cid = UINT64_MAX;
	n->shard = UINT32_MAX;
}

/* Both functions of a struct; `fill` is statements that fill x. */
#define BODY(what, type, put, get, ...)					\
static void								\
make_##what(struct buf *b)						\
{									\
	type	 x;							\
									\
	memset(&x, 0, sizeof(x));					\
	__VA_ARGS__							\
	put(b, &x);							\
}									\
static int								\
take_##what(struct rbuf *m, struct buf *again)				\
{									\
	type	 x;							\
	int	 r;							\
									\
	memset(&x, 0, sizeof(x));					\
	if ((r = get(m, &x)) == 0 && (r = get_end(m)) == 0)		\
		put(again, &x);						\
	return r;							\
}

BODY(pos, struct sync_pos, pos_put, pos_get, fill_pos(&x);)
BODY(shard_record, struct shard_record, shard_record_put, shard_record_get,
    fill_record(&x);)
BODY(channel_name, struct channel_name, channel_name_put, channel_name_get,
    fill_name(&x);)
BODY(subscribe, struct channel_subscribe, channel_subscribe_put,
    channel_subscribe_get,
    fill_name(&x.name);
    x.has_record = true;
    fill_record(&x.record);
    FILL(x.target_cid);
    FILL(x.target_server);
    x.target_reboot = 7;
    FILL(x.repair);)
BODY(resume, struct channel_resume, channel_resume_put, channel_resume_get,
    fill_pos(&x.pos);
    x.queued = x.leader_changes = UINT64_MAX;)
BODY(cut, struct channel_cut, channel_cut_put, channel_cut_get,
    fill_pos(&x.pos);
    x.documents = x.leader_changes = UINT64_MAX;
    x.compare = true;)
BODY(watermark, struct channel_watermark, channel_watermark_put,
    channel_watermark_get,
    fill_pos(&x.pos);
    x.newest_tick = x.source_us = UINT64_MAX;)
BODY(tail_conf, struct tail_conf, tail_conf_put, tail_conf_get,
    FILL(x.target);
    FILL(x.source);
    FILL(x.server);
    FILL(x.url);
    x.reboot_id = x.max_hold_bytes = x.max_hold_ms = UINT64_MAX;)
BODY(evidence, struct tail_evidence, tail_evidence_put, tail_evidence_get,
    FILL(x.server);
    x.reboot_id = x.server_id = UINT64_MAX;
    x.proven = x.gap = true;
    x.wal_first = x.wal_last = x.join = x.through = x.rounds = UINT64_MAX;)
BODY(send_conf, struct send_conf, send_conf_put, send_conf_get,
    FILL(x.target);
    FILL(x.source);
    fill_name(&x.name);
    FILL(x.coll);
    FILL(x.shard);
    FILL(x.cuid);
    FILL(x.server);
    FILL(x.url);
    x.reboot_id = x.leader_changes = x.quota_bytes = UINT64_MAX;
    x.min_free_bytes = x.idle_ms = UINT64_MAX;)
BODY(receive_conf, struct receive_conf, receive_conf_put, receive_conf_get,
    FILL(x.source);
    fill_name(&x.name);
    FILL(x.coll);
    x.settle_ms = UINT32_MAX;
    x.lineage = true;
    x.idle_ms = UINT64_MAX;)
BODY(link_conf, struct link_conf, link_conf_put, link_conf_get,
    FILL(x.target);
    FILL(x.source);)
BODY(inventory_conf, struct inventory_conf, inventory_conf_put,
    inventory_conf_get,
    x.is_target = x.first = x.allow_mass_drop = true;
    FILL(x.source);)
BODY(target, struct worker_target, worker_target_put, worker_target_get,
    FILL(x.cid);
    FILL(x.coll);
    FILL(x.shard);
    FILL(x.server);
    FILL(x.url);
    x.reboot_id = UINT64_MAX;)

/* ---- those that are otherwise ------------------------------------------- */

static void
make_credit(struct buf *b)
{
	channel_credit_put(b, 1, UINT64_MAX);
}

static int
take_credit(struct rbuf *m, struct buf *again)
{
	uint64_t	 live, bulk;
	int		 r;

	if ((r = channel_credit_get(m, &live, &bulk)) == 0 &&
	    (r = get_end(m)) == 0)
		channel_credit_put(again, live, bulk);
	return r;
}

static void
make_checkpoint(struct buf *b)
{
	struct route_exception	 e[2] = { { 1, 5 }, { UINT32_MAX, 7 } };
	struct route_checkpoint	 cp;

	memset(&cp, 0, sizeof(cp));
	FILL(cp.server);
	cp.reboot_id = cp.server_id = UINT64_MAX;
	cp.point.from = 9;
	cp.exceptions = e;
	cp.nexceptions = 2;
	route_checkpoint_put(b, &cp);
}

static int
take_checkpoint(struct rbuf *m, struct buf *again)
{
	struct route_checkpoint	 cp;
	int			 r;

	memset(&cp, 0, sizeof(cp));
	if ((r = route_checkpoint_get(m, &cp)) != 0)
		return r;
	if ((r = get_end(m)) == 0)
		route_checkpoint_put(again, &cp);
	route_checkpoint_free(&cp);
	return r;
}

static void
make_pair(struct buf *b)
{
	cmp_pair_put(b, "a key", 5, UINT64_MAX);
}

static int
take_pair(struct rbuf *m, struct buf *again)
{
	const uint8_t	*key;
	size_t		 len;
	uint64_t	 rev;
	int		 r;

	if ((r = cmp_pair_get(m, &key, &len, &rev)) == 0 &&
	    (r = get_end(m)) == 0)
		cmp_pair_put(again, key, len, rev);
	return r;
}

static void
make_sum(struct buf *b)
{
	struct cmp_sum	 s;
	int		 i;

	if (cmp_sum_init(&s, CMP_BUCKETS_MIN) != 0)
		return;
	for (i = 0; i < 100; i++)
		cmp_sum_add(&s, &i, sizeof(i), (uint64_t)i);
	cmp_sum_encode(b, &s);
	cmp_sum_free(&s);
}

static int
take_sum(struct rbuf *m, struct buf *again)
{
	struct cmp_sum	 s;
	int		 r;

	if ((r = cmp_sum_decode(m, &s)) != 0)
		return r;
	cmp_sum_encode(again, &s);
	cmp_sum_free(&s);
	return 0;
}

static void
make_set(struct buf *b)
{
	struct cmp_sum	 x, none;
	struct cmp_set	 d;

	if (cmp_sum_init(&x, CMP_BUCKETS_MIN) != 0 ||
	    cmp_sum_init(&none, CMP_BUCKETS_MIN) != 0)
		return;
	cmp_sum_add(&x, "a", 1, 1);
	cmp_sum_add(&x, "b", 1, 1);
	if (cmp_diff(&x, &none, &d) == 0)
		cmp_set_encode(b, &d);
	cmp_set_free(&d);
	cmp_sum_free(&x);
	cmp_sum_free(&none);
}

static int
take_set(struct rbuf *m, struct buf *again)
{
	struct cmp_set	 d;
	int		 r;

	if ((r = cmp_set_decode(m, &d)) != 0)
		return r;
	if ((r = get_end(m)) == 0)
		cmp_set_encode(again, &d);
	cmp_set_free(&d);
	return r;
}

static void
make_piece(struct buf *b)
{
	channel_docs_put(b, UINT32_MAX, CHANNEL_LAST);
}

static int
take_piece(struct rbuf *m, struct buf *again)
{
	uint32_t	 request;
	uint8_t		 flags;
	int		 r;

	if ((r = channel_docs_get(m, &request, &flags)) == 0 &&
	    (r = get_end(m)) == 0)
		channel_docs_put(again, request, flags);
	return r;
}

static void
make_doc(struct buf *b)
{
	channel_doc_put(b, UINT32_MAX, CHANNEL_DOC_FOUND, "{}", 2);
}

static int
take_doc(struct rbuf *m, struct buf *again)
{
	const uint8_t	*doc;
	size_t		 len;
	uint32_t	 index;
	uint8_t		 found;
	int		 r;

	if ((r = channel_doc_get(m, &index, &found, &doc, &len)) == 0 &&
	    (r = get_end(m)) == 0)
		channel_doc_put(again, index, found, doc, len);
	return r;
}

static void
make_record(struct buf *b)
{
	struct sync_pos	 p;

	fill_pos(&p);
	channel_record_put(b, 3, 4711);
	channel_stored_put(b, CHANNEL_BOUNDARY, &p);
	buf_append_str(b, "{}\n");
}

static int
take_record(struct rbuf *m, struct buf *again)
{
	struct channel_record	 rec;
	int			 r;

	if ((r = channel_record_get(m->p, m->left, &rec)) != 0)
		return r;
	channel_record_put(again, rec.epoch, rec.offset);
	channel_stored_put(again, rec.flags, &rec.pos);
	buf_append(again, rec.lines, rec.len);
	return 0;
}

static const struct channel_name	 file_name = { "shop", 10049, 3 };

static void
make_file(struct buf *b)
{
	struct receive_record	 rec = { .suspect_us = 7 };

	fill_record(&rec.shard);
	receive_record_put(b, "the source", &file_name, &rec);
}

static int
take_file(struct rbuf *m, struct buf *again)
{
	struct receive_record	 rec;
	int			 r;

	if ((r = receive_record_get(m->p, m->left, "the source", &file_name,
	    &rec)) == 0)
		receive_record_put(again, "the source", &file_name, &rec);
	return r;
}

#define ROW(what, open)	{ #what, make_##what, take_##what, open }

const struct body	 bodies[] = {
	ROW(pos, false), ROW(shard_record, false), ROW(channel_name, false),
	ROW(subscribe, false), ROW(resume, false), ROW(cut, false),
	ROW(watermark, false), ROW(tail_conf, false), ROW(evidence, false),
	ROW(send_conf, false), ROW(receive_conf, false),
	ROW(link_conf, false), ROW(inventory_conf, false),
	ROW(target, false), ROW(credit, false), ROW(checkpoint, false),
	ROW(pair, false), ROW(sum, true), ROW(set, false),
	ROW(piece, false), ROW(doc, false), ROW(record, true),
	ROW(file, false)
};
const size_t		 nbodies = NITEMS(bodies);
