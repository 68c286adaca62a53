/*
 * send_repair.c - snapshots and what is read from them; see send_priv.h
 *
 * A snapshot gives each shard once, so every further pass reads a fresh one.
 * That is right because the records are replayed from the first one on (R8).
 * Who leads, and since which start, is looked at before a snapshot is opened
 * and after: a leader that was replaced meanwhile may have given anything (R5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "arango/agency.h"
#include "arango/tail.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "send/send_priv.h"
#include "sync/route.h"
#include "worker/worker.h"

/* Small enough that little waits here while a slow link is held back. */
#define DUMP_CHUNK_BYTES	(1024u * 1024)
#define KEYS_CHUNK_BYTES	(8u * 1024 * 1024)

/* ---- who leads --------------------------------------------------------- */

struct look {
	uint64_t	 reboot_id;
};

static struct json_object *
member_of(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (o != NULL && json_object_is_type(o, json_type_object))
		(void)json_object_object_get_ex(o, name, &v);
	return v;
}

static const char *
first_of(struct json_object *list)
{
	struct json_object	*v;

	if (list == NULL || !json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0)
		return "";
	v = json_object_array_get_idx(list, 0);
	return json_object_is_type(v, json_type_string) ?
	    json_object_get_string(v) : "";
}

static int
check_leader(struct send *s, struct json_object *root, struct look *l,
    struct err_msg *m)
{
	struct json_object	*a = member_of(root, "arango"), *plan, *cur;
	struct json_object	*known;

	plan = member_of(member_of(member_of(member_of(member_of(member_of(a,
	    "Plan"), "Collections"), s->conf.name.db), s->cid), "shards"),
	    s->conf.shard);
	cur = member_of(member_of(member_of(member_of(member_of(member_of(a,
	    "Current"), "Collections"), s->conf.name.db), s->cid),
	    s->conf.shard), "servers");
	known = member_of(member_of(member_of(member_of(a, "Current"),
	    "ServersKnown"), s->conf.server), "rebootId");
	if (plan == NULL)
		return err_set(m, ERR_NOT_FOUND, "shard %s is not in the Plan "
		    "any more", s->conf.shard);
	if (strcmp(first_of(plan), s->conf.server) != 0 ||
	    strcmp(first_of(cur), s->conf.server) != 0)
		return err_set(m, ERR_BAD_STATE, "%s does not lead shard %s "
		    "just now (Plan: \"%s\", Current: \"%s\")", s->conf.server,
		    s->conf.shard, first_of(plan), first_of(cur));
	l->reboot_id = known == NULL ? 0 : (uint64_t)json_object_get_int64(
	    known);
	return 0;
}

static int
look(struct talk *t, struct look *l, struct err_msg *m)
{
	struct send		*s = t->s;
	struct arango_agency	*ag;
	struct json_object	*root = NULL;
	const char		*paths[3];
	char			*text[3];
	int			 i, r;

	text[0] = xasprintf("/arango/Plan/Collections/%s/%s/shards/%s",
	    s->conf.name.db, s->cid, s->conf.shard);
	text[1] = xasprintf("/arango/Current/Collections/%s/%s/%s/servers",
	    s->conf.name.db, s->cid, s->conf.shard);
	text[2] = xasprintf("/arango/Current/ServersKnown/%s/rebootId",
	    s->conf.server);
	for (i = 0; i < 3; i++)
		paths[i] = text[i];
	ag = arango_agency_new(worker_cluster(s->w), &t->cancel);
	r = arango_agency_read(ag, paths, 3, &root, m);
	arango_agency_free(&ag);
	for (i = 0; i < 3; i++)
		free(text[i]);
	if (r == 0 && (r = check_leader(s, root, l, m)) != 0)
		worker_say(s->w, MSG_WORKER_LOOK);
	json_object_put(root);
	return t->dead ? ERR_CANCELLED : r;
}

struct arango_server *
repair_server(struct send *s, struct err_msg *m)
{
	struct arango_server	*server = NULL;

	(void)arango_server_put(worker_cluster(s->w), s->conf.server,
	    ARANGO_DBSERVER, s->conf.url, &server, m);
	return server;
}

/* ---- snapshots --------------------------------------------------------- */

static int
open_snapshot(struct talk *t, struct look *l, struct err_msg *m)
{
	struct arango_snapshot_opts	 o = ARANGO_SNAPSHOT_OPTS_INIT;
	struct look			 after;
	int				 r;

	arango_snapshot_close(&t->snap);
	t->snap_used = false;
	if ((r = look(t, l, m)) != 0)
		return r;
	o.cluster = worker_cluster(t->s->w);
	o.server = repair_server(t->s, m);
	o.db = t->s->conf.name.db;
	o.cancel = &t->cancel;
	if (o.server == NULL)
		return ERR_FORMAT;
	if ((r = arango_snapshot_open(&o, &t->snap, m)) != 0)
		return r;
	if ((r = look(t, &after, m)) != 0)
		return r;
	if (after.reboot_id != l->reboot_id)
		return err_set(m, ERR_BAD_STATE, "%s was started again while "
		    "the snapshot was opened", t->s->conf.server);
	return 0;
}

/* About; what is compared is counted. */
static uint64_t
count_documents(struct talk *t)
{
	struct json_object	*o = NULL;
	struct err_msg		 m;
	char			*path;
	int64_t			 n = 0;

	path = xasprintf("/_api/collection/%s/count", t->s->conf.shard);
	if (arango_json(worker_cluster(t->s->w), repair_server(t->s, &m),
	    "GET", t->s->conf.name.db, path, NULL, 0, &o, NULL, &m) == 0)
		n = json_int_or(o, "count", 0);
	json_object_put(o);
	free(path);
	return n > 0 ? (uint64_t)n : 0;
}

static void
say_cut(struct talk *t, uint64_t reboot_id, uint64_t epoch, uint64_t offset)
{
	struct send		*s = t->s;
	struct channel_cut	 c;
	struct buf		 b = BUF_INIT;

	memset(&c, 0, sizeof(c));
	snprintf(c.pos.server, sizeof(c.pos.server), "%s", s->conf.server);
	c.pos.reboot_id = reboot_id;
	c.pos.server_id = s->received.server_id;
	c.pos.tick = t->cut;
	c.pos.epoch = t->cut_epoch = epoch;
	c.pos.offset = t->cut_offset = offset;
	c.documents = t->documents;
	c.leader_changes = s->conf.leader_changes;
	c.compare = t->compare;
	channel_cut_put(&b, &c);
	talk_say(t, MSG_CH_CUT, &b);
	buf_free(&b);
}

int
repair_begin(struct talk *t, struct err_msg *m)
{
	struct send		*s = t->s;
	struct tail_evidence	 e;
	struct sync_pos		 start;
	struct look		 l;
	int			 r;

	t->repairing = true;
	t->compare = false;
	if ((r = send_tail_ask(s, NULL, &e, &t->dead)) != 0)
		return err_set(m, r, "the tail of %s does not answer: %s",
		    s->conf.server, err_text(r));
	pos_clear(&start);
	snprintf(start.server, sizeof(start.server), "%s", s->conf.server);
	start.reboot_id = e.reboot_id;
	start.server_id = e.server_id;
	start.tick = ROUTE_FROM_NOW;
	if ((r = send_tail_join(s, ROUTE_FROM_NOW, &start, &t->dead)) != 0)
		return err_set(m, r, "%s cannot be read from now on: %s",
		    s->conf.server, err_text(r));
	if ((r = open_snapshot(t, &l, m)) != 0)
		return r;
	if (l.reboot_id != 0 && l.reboot_id != e.reboot_id)
		return err_set(m, ERR_BAD_STATE, "%s has just been started "
		    "again", s->conf.server);
	t->documents = count_documents(t);
	if (t->dead)
		return ERR_CANCELLED;
	if (!s->joined)
		return err_set(m, ERR_CLOSED, "the tail of %s went away",
		    s->conf.server);
	s->gone[0] = '\0';
	t->cut = arango_snapshot_tick(t->snap);
	send_step(s, SHARD_EV_SNAPSHOT, "tick %" PRIu64 ", about %" PRIu64
	    " documents", t->cut, t->documents);
	/* The begin of the queue: all in it is behind the cut, or dropped. */
	say_cut(t, e.reboot_id, s->start_epoch, s->start_offset);
	return 0;
}

/* A cut in the stream: everything through it, nothing behind it. */
int
repair_verify(struct talk *t, struct rbuf *b, struct err_msg *m)
{
	struct send	*s = t->s;
	struct look	 l;
	char		 why[512];
	int		 r;

	if ((r = get_bool(b, &t->compare)) != 0 ||
	    (r = get_str(b, why, sizeof(why))) != 0 || (r = get_end(b)) != 0)
		return r;
	if (!t->streaming || t->repairing)
		return err_set(m, ERR_PROTOCOL, "the target asks for a cut in "
		    "step %s", shard_step_name(s->shard.step));
	t->repairing = true;
	log_info("a cut is asked for: %s", why);
	if (!t->compare) {
		send_step(s, SHARD_EV_VERIFY, "%s", why);
		send_step(s, SHARD_EV_PLACE, "the target has one");
	}
	/* Held from before it is opened: what it will hold is not known. */
	deliver_limit(t, 0);
	if ((r = open_snapshot(t, &l, m)) != 0)
		return r;
	t->documents = count_documents(t);
	if (t->dead)
		return ERR_CANCELLED;
	t->cut = arango_snapshot_tick(t->snap);
	t->cut_ms = loop_now_ms(s->loop) + send_limits.verify_ms;
	deliver_limit(t, t->cut);
	if ((r = deliver_wait(t, t->cut, t->cut_ms)) != 0)
		return err_set(m, r, "the log of %s was not read through the "
		    "snapshot: %s", s->conf.server, err_text(r));
	if (!t->compare)
		send_step(s, SHARD_EV_SNAPSHOT, "tick %" PRIu64, t->cut);
	say_cut(t, l.reboot_id != 0 ? l.reboot_id : s->received.reboot_id,
	    t->epoch, t->offset);
	return 0;
}

/* ---- the dump, for an empty target ------------------------------------- */

struct dump_out {
	struct talk	*t;
	struct buf	 piece;
	uint64_t	 n;
};

static void
hold_dump(void *arg, struct http_call *call)
{
	struct dump_out	*d = arg;

	bulk_hold(d->t, call);
}

static int
dump_one(void *arg, const struct arango_doc *doc)
{
	struct dump_out	*d = arg;

	if (d->t->dead)
		return ERR_CANCELLED;
	bulk_bytes(d->t, &d->piece, doc->data.p, doc->data.len);
	bulk_bytes(d->t, &d->piece, "\n", 1);
	d->n++;
	return 0;
}

static int
dump_all(struct talk *t, struct err_msg *m)
{
	struct arango_dump_opts	 o = ARANGO_DUMP_OPTS_INIT;
	struct dump_out		 d = { .t = t };
	struct buf		 b = BUF_INIT;
	int			 r;

	o.db = t->s->conf.name.db;
	o.shard = t->s->conf.shard;
	o.chunk_bytes = DUMP_CHUNK_BYTES;
	o.on_doc = dump_one;
	o.on_call = hold_dump;
	o.arg = &d;
	t->snap_used = true;
	r = arango_dump(t->snap, &o, m);
	if (r == 0 && !t->dead) {
		if (d.piece.len > 1)
			bulk_out(t, &d.piece, MSG_CH_SNAP, 0);
		put_u64(&b, d.n);
		bulk_push(t, MSG_CH_SNAP_END, &b);
		log_info("the snapshot was dumped: %" PRIu64 " documents",
		    d.n);
	}
	buf_free(&d.piece);
	return r;
}

/* ---- keys and revisions ------------------------------------------------ */

struct key_pass {
	struct talk	*t;
	struct buf	 text, piece;
	/* One of these is made. */
	struct cmp_sum	*sum;
	struct cmp_set	 set;
	struct cmp_round round;
	uint32_t	 request;
};

static void
hold_keys(void *arg, struct http_call *call)
{
	struct key_pass	*k = arg;

	bulk_hold(k->t, call);
}

static int
take_key(void *arg, const struct arango_doc *doc)
{
	struct key_pass		*k = arg;
	struct arango_doc_id	 id;
	struct scan_span	 quoted;
	const char		*key;
	size_t			 len;
	int			 r;

	if (k->t->dead)
		return ERR_CANCELLED;
	if ((r = arango_doc_identify(doc, &id)) != 0)
		return r;
	key = id.key.p;
	len = id.key.len;
	if (id.key_escaped) {
		quoted.p = key - 1;
		quoted.len = len + 2;
		buf_reset(&k->text);
		if ((r = scan_string(&quoted, &k->text)) != 0)
			return r;
		key = (const char *)k->text.data;
		len = k->text.len;
	}
	if (k->sum != NULL)
		cmp_sum_add(k->sum, key, len, id.rev);
	else if (cmp_wants(&k->set, &k->round, key, len))
		bulk_pair(k->t, &k->piece, k->request, key, len, id.rev);
	return 0;
}

static int
read_keys(struct key_pass *k, struct err_msg *m)
{
	struct arango_dump_opts	 o = ARANGO_DUMP_OPTS_INIT;
	struct talk		*t = k->t;
	struct look		 l;
	int			 r;

	if (t->snap_used && (r = open_snapshot(t, &l, m)) != 0)
		return r;
	t->snap_used = true;
	o.db = t->s->conf.name.db;
	o.shard = t->s->conf.shard;
	o.chunk_bytes = KEYS_CHUNK_BYTES;
	o.on_doc = take_key;
	o.on_call = k->sum == NULL ? hold_keys : NULL;
	o.arg = k;
	r = arango_dump(t->snap, &o, m);
	buf_free(&k->text);
	return r;
}

static int
send_sums(struct talk *t, struct err_msg *m)
{
	struct key_pass	 k = { .t = t };
	struct cmp_sum	 sum;
	struct buf	 b = BUF_INIT;
	int		 r;

	if ((r = cmp_sum_init(&sum, cmp_buckets_for(MAX(t->documents,
	    t->target_documents)))) != 0)
		return r;
	k.sum = &sum;
	if ((r = read_keys(&k, m)) == 0 && !t->dead) {
		cmp_sum_encode(&b, &sum);
		bulk_push(t, MSG_CH_SUMS, &b);
	}
	cmp_sum_free(&sum);
	return r;
}

int
repair_at_cut(struct talk *t, struct rbuf *b, struct err_msg *m)
{
	struct send	*s = t->s;
	int		 r;

	if ((r = get_u64(b, &t->target_documents)) != 0 ||
	    (r = get_end(b)) != 0)
		return r;
	if (!t->repairing || t->snap == NULL)
		return err_set(m, ERR_PROTOCOL, "the target is at a cut that "
		    "was not made");
	if (t->compare)
		return send_sums(t, m);
	if (t->target_documents == 0) {
		send_step(s, SHARD_EV_CUT_EMPTY, "the target is empty");
		return dump_all(t, m);
	}
	send_step(s, SHARD_EV_CUT_FILLED, "the target has %" PRIu64
	    " documents", t->target_documents);
	return send_sums(t, m);
}

int
repair_diff(struct talk *t, struct rbuf *b, struct err_msg *m)
{
	struct key_pass	 k = { .t = t };
	int		 r;

	if ((r = get_u32(b, &k.request)) != 0 ||
	    (r = get_u64(b, &k.round.lo)) != 0 ||
	    (r = get_u64(b, &k.round.hi)) != 0 ||
	    (r = cmp_set_decode(b, &k.set)) != 0)
		return r;
	if ((r = get_end(b)) != 0) {
		cmp_set_free(&k.set);
		return r;
	}
	if (!t->repairing || t->compare)
		r = err_set(m, ERR_PROTOCOL, "the target asks for pairs that "
		    "are not being compared");
	else {
		send_step(t->s, SHARD_EV_DIFFERS, "%" PRIu32 " of %" PRIu32
		    " ranges differ", k.set.count, k.set.nbuckets);
		r = read_keys(&k, m);
	}
	if (r == 0 && !t->dead) {
		if (k.piece.len == 0)
			bulk_begin(&k.piece, MSG_CH_PAIRS, k.request);
		bulk_out(t, &k.piece, MSG_CH_PAIRS, CHANNEL_LAST);
	}
	cmp_set_free(&k.set);
	buf_free(&k.piece);
	return r;
}

/* ---- behind the cut ---------------------------------------------------- */

static int
catch_up(struct talk *t, struct err_msg *m)
{
	struct send		*s = t->s;
	struct arango_server	*server = repair_server(s, m);
	struct buf		 b = BUF_INIT;
	uint64_t		 tick = 0, id;
	int			 r;

	if (server == NULL)
		return ERR_FORMAT;
	r = arango_wal_last_tick(worker_cluster(s->w), server, &tick, &id, m);
	if (t->dead)
		return ERR_CANCELLED;
	if (r != 0)
		return r;
	if ((r = deliver_wait(t, tick, UINT64_MAX)) != 0)
		return r;
	put_u64(&b, tick);
	talk_say(t, MSG_CH_CAUGHT_UP, &b);
	buf_free(&b);
	send_step(s, SHARD_EV_CAUGHT_UP, "through tick %" PRIu64, tick);
	if (s->detached)
		send_step(s, SHARD_EV_OVER_QUOTA, "the tail reads again");
	send_trouble(s, NULL);
	return 0;
}

int
repair_done(struct talk *t, struct err_msg *m)
{
	struct send	*s = t->s;
	bool		 compared = t->compare;

	if (!t->repairing)
		return err_set(m, ERR_PROTOCOL, "the target has repaired what "
		    "was not to be repaired");
	arango_snapshot_close(&t->snap);
	t->repairing = t->compare = false;
	if (!compared) {
		send_step(s, SHARD_EV_REMOVED, "the target was repaired");
		send_step(s, s->shard.step == SHARD_COMPARE ? SHARD_EV_SAME :
		    SHARD_EV_COPIED, "the target was repaired");
		if (s->shard.step == SHARD_SNAPSHOT)
			return err_set(m, ERR_BAD_STATE, "the log was lost "
			    "while the target was repaired");
		if (s->shard.step != SHARD_REPLAY)
			return err_set(m, ERR_PROTOCOL, "the target has "
			    "repaired in step %s",
			    shard_step_name(s->shard.step));
	}
	if (t->streaming) {
		t->floor = MAX(t->floor, t->cut);
		t->tick = MAX(t->tick, t->cut);
		deliver_limit(t, SEND_NO_LIMIT);
	} else
		deliver_begin(t, t->cut_epoch, t->cut_offset, t->cut);
	return compared || t->dead ? 0 : catch_up(t, m);
}
