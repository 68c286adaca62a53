/* wal.c - see wal.h */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/random.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/scan.h"
#include "sync/channel.h"
#include "unit.h"
#include "wal.h"

/* ---- the log ------------------------------------------------------------ */

static uint64_t
query(const struct http_req *req, const char *name, uint64_t dflt)
{
	const char	*target = http_req_target(req), *p;

	p = strstr(target, name);
	return p == NULL ? dflt : strtoull(p + strlen(name), NULL, 10);
}

static void
answer(struct http_req *req, const char *text, size_t len, uint64_t included,
    uint64_t scanned, uint64_t newest, bool more, bool present)
{
	char	 number[3][32];
	int	 i;
	uint64_t v[3] = { included, scanned, newest };
	static const char *const names[] = {
		"x-arango-replication-lastincluded",
		"x-arango-replication-lastscanned",
		"x-arango-replication-lasttick"
	};

	for (i = 0; i < 3; i++) {
		snprintf(number[i], sizeof(number[i]), "%llu",
		    (unsigned long long)v[i]);
		http_reply_header(req, names[i], number[i]);
	}
	http_reply_header(req, "x-arango-replication-checkmore",
	    more ? "true" : "false");
	http_reply_header(req, "x-arango-replication-frompresent",
	    present ? "true" : "false");
	http_reply_bytes(req, len == 0 ? 204 : 200,
	    "application/x-arango-dump", text, len);
}

static void
serve_tail(struct wal *w, struct http_req *req)
{
	uint64_t	 from = query(req, "&from=", 0);
	uint64_t	 to = query(req, "&to=", UINT64_MAX), included = 0;
	struct buf	 b = BUF_INIT;
	size_t		 i, len;
	bool		 more = false, begun = false;

	if (query(req, "syncerId=", 0) != 0) {
		w->held = from;
		w->holds++;
		answer(req, "", 0, 0, w->newest, w->newest, false, true);
		return;
	}
	w->tails++;
	if (from != 0 && from < w->first) {
		answer(req, "", 0, 0, w->newest, w->newest, false, false);
		return;
	}
	for (i = 0; i < w->n && w->ops[i].tick <= to; i++) {
		if (w->ops[i].tick <= from)
			continue;
		/* R1: the rest of a batch that began before is skipped */
		if (!begun && i > 0 && !w->ops[i - 1].last &&
		    w->ops[i - 1].tick < from)
			continue;
		begun = true;
		if (b.len >= w->chunk && i > 0 && w->ops[i - 1].last) {
			more = true;
			break;
		}
		buf_append_str(&b, w->ops[i].text);
		included = w->ops[i].tick;
	}
	len = b.len;
	if (to == UINT64_MAX && w->break_one_in != 0 && len > 0 &&
	    rand_below(w->break_one_in) == 0) {
		w->broken++;
		/* whole lines, but fewer than the header says */
		len -= rand_below((uint32_t)len / 2 + 1);
		while (len > 0 && b.data[len - 1] != '\n')
			len--;
		included++;
	}
	answer(req, b.len == 0 ? "" : (char *)b.data, len, included,
	    included == 0 ? w->newest : included, w->newest, more, true);
	buf_free(&b);
}

static void
serve(struct http_req *req, void *arg)
{
	struct wal	*w = arg;
	char		 text[256];

	if (w->down)
		http_req_drop(req);
	else if (strstr(http_req_target(req), "/_api/wal/range") != NULL) {
		snprintf(text, sizeof(text), "{\"tickMin\":\"%llu\","
		    "\"tickMax\":\"%llu\",\"server\":{\"serverId\":\"%llu\"}}",
		    (unsigned long long)w->first,
		    (unsigned long long)w->newest,
		    (unsigned long long)w->server_id);
		fake_json(req, 200, text);
	} else if (strstr(http_req_target(req), "/_api/wal/tail") != NULL)
		serve_tail(w, req);
	else
		fake_json(req, 404, "{\"errorNum\":404}");
}

void
wal_start(struct wal *w)
{
	memset(w, 0, sizeof(*w));
	w->server_id = 77;
	w->newest = 100;
	w->first = 1;
	w->chunk = 2000;
	w->held = UINT64_MAX;
	fake_start(&w->f, serve, w);
}

void
wal_stop(struct wal *w)
{
	size_t	 i;

	fake_stop(&w->f);
	for (i = 0; i < w->n; i++)
		free(w->ops[i].text);
	free(w->ops);
}

static struct wal_op *
add(struct wal *w)
{
	struct wal_op	*op;

	w->ops = xrealloc(w->ops, (w->n + 1) * sizeof(*w->ops));
	op = &w->ops[w->n++];
	memset(op, 0, sizeof(*op));
	op->tick = ++w->newest;
	return op;
}

void
wal_batch(struct wal *w, unsigned channel, unsigned n)
{
	struct wal_op	*op;
	char		*filler = xmalloc(w->filler + 1);

	memset(filler, 'x', w->filler);
	filler[w->filler] = '\0';
	/* ticks have holes */
	w->newest += rand_below(3);
	for (; n > 0; n--) {
		op = add(w);
		op->channel = channel <= WAL_CHANNELS ? channel :
		    rand_below(WAL_CHANNELS + 1);
		op->key = rand_below(WAL_KEYS);
		op->last = n == 1;
		op->text = xasprintf("{\"tick\":\"%llu\",\"type\":2300,"
		    "\"db\":\"d\",\"cuid\":\"c1/s%u\",\"tid\":\"0\",\"data\":"
		    "{\"_key\":\"%u\",\"v\":%llu,\"f\":\"%s\"}}\n",
		    (unsigned long long)op->tick, op->channel, op->key,
		    (unsigned long long)op->tick, filler);
	}
	free(filler);
}

void
wal_marker(struct wal *w, unsigned type, unsigned channel)
{
	struct wal_op	*op = add(w);

	op->channel = WAL_CHANNELS;
	op->last = true;
	op->text = xasprintf("{\"tick\":\"%llu\",\"type\":%u,\"db\":\"d\","
	    "\"cuid\":\"c1/s%u\"}\n", (unsigned long long)op->tick, type,
	    channel);
}

void
wal_drop(struct wal *w, unsigned channel)
{
	wal_marker(w, WAL_COLL_DROP, channel);
}

void
wal_cut(struct wal *w, uint64_t tick)
{
	while (w->n > 0 && w->ops[w->n - 1].tick > tick)
		free(w->ops[--w->n].text);
	if (w->n > 0)
		w->ops[w->n - 1].last = true;
	w->newest = tick;
}

uint64_t
wal_value(const struct wal *w, unsigned channel, unsigned key, uint64_t tick)
{
	size_t	 i;

	for (i = w->n; i > 0; i--)
		if (w->ops[i - 1].tick <= tick && w->ops[i - 1].key == key &&
		    w->ops[i - 1].channel == channel)
			return w->ops[i - 1].tick;
	return 0;
}

uint64_t
wal_last(const struct wal *w, unsigned channel, uint64_t tick)
{
	size_t	 i;

	for (i = w->n; i > 0; i--)
		if (w->ops[i - 1].tick <= tick &&
		    w->ops[i - 1].channel == channel)
			return w->ops[i - 1].tick;
	return 0;
}

/* ---- a send ------------------------------------------------------------- */

static void
wrong(struct sink *s, const char *what)
{
	s->wrong++;
	printf("# %s: %s\n", s->cuid, what);
}

static void
apply_line(struct sink *s, const char *p, size_t len)
{
	struct scan_marker	 m;
	struct scan_iter	 it;
	struct scan_span	 name, value;
	uint64_t		 tick;
	unsigned		 key = WAL_KEYS;

	if (scan_marker(p, len, &m) != 0 || scan_uint(&m.tick, &tick) != 0) {
		wrong(s, "not a line");
		return;
	}
	scan_object(&it, m.data.p, m.data.len);
	while (scan_next(&it, &name, &value) == 1)
		if (name.len == 4 && memcmp(name.p, "_key", 4) == 0)
			key = (unsigned)atoi(value.p + 1);
	if (key >= WAL_KEYS || m.cuid.len != strlen(s->cuid) + 2 ||
	    memcmp(m.cuid.p + 1, s->cuid, m.cuid.len - 2) != 0) {
		wrong(s, "a line of somebody else");
		return;
	}
	s->have[key] = tick;
	s->lines++;
}

static int
on_lines(struct sink *s, struct rbuf *m)
{
	uint8_t		 flags;
	const char	*p, *end, *nl;

	if (get_u8(m, &flags) != 0)
		return ERR_PROTOCOL;
	if (m->left + 1 > TAIL_PIECE_BYTES)
		wrong(s, "a piece is too long");
	if (s->part.len != 0 && (flags & TAIL_LINES_AGAIN))
		wrong(s, "a line without its end");
	s->was_again |= (flags & TAIL_LINES_AGAIN) != 0;
	s->was_more |= (flags & TAIL_LINES_MORE) != 0;
	if (s->state != SINK_ON)
		return 0;
	buf_append(&s->part, m->p, m->left);
	if (flags & TAIL_LINES_MORE)
		return 0;
	p = (const char *)s->part.data;
	end = p + s->part.len;
	for (; p < end; p = nl + 1) {
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL) {
			wrong(s, "a piece ends within a line");
			break;
		}
		apply_line(s, p, (size_t)(nl - p));
	}
	buf_reset(&s->part);
	return 0;
}

void
sink_ack(struct sink *s, uint64_t noted, uint64_t durable)
{
	struct buf	 b = BUF_INIT;

	s->noted = MAX(s->noted, noted);
	put_u64(&b, s->noted);
	put_u64(&b, durable);
	(void)peer_send_buf(s->peer, MSG_TAIL_ACK, 0, &b);
}

static int
on_end(struct sink *s, struct rbuf *m)
{
	struct sync_pos	 pos;
	uint64_t	 from;
	unsigned	 k;

	if (get_u64(m, &from) != 0 || pos_get(m, &pos) != 0 || get_end(m) != 0)
		return ERR_PROTOCOL;
	if (s->state != SINK_ON)
		return 0;
	s->ends++;
	if (from == pos.tick)
		s->empty_ends++;	/* what it was told of is through */
	else if (pos.tick <= s->pos.tick || from > pos.tick)
		wrong(s, "positions do not rise");
	if (pos.tick < s->pos.tick)
		wrong(s, "positions go back");
	for (k = 0; k < WAL_KEYS; k++)
		if (s->have[k] != wal_value(s->w, s->channel, k, pos.tick)) {
			printf("# key %u at %llu: %llu, not %llu\n", k,
			    (unsigned long long)pos.tick,
			    (unsigned long long)s->have[k], (unsigned long long)
			    wal_value(s->w, s->channel, k, pos.tick));
			wrong(s, "a response is not complete");
		}
	s->pos = pos;
	memcpy(s->durable, s->have, sizeof(s->durable));
	if (!s->keeps_quiet)
		sink_ack(s, pos.tick, pos.tick);
	return 0;
}

static void
ask_or_join(struct sink *s)
{
	if (s->manual)
		return;
	if (s->has_pos)
		sink_ask(s);
	else
		sink_join(s, ROUTE_FROM_NOW);
}

static int
on_joined(struct sink *s, struct rbuf *m)
{
	int32_t		 err;
	unsigned	 k;

	if (get_i32(m, &err) != 0 || get_u64(m, &s->joined) != 0 ||
	    get_end(m) != 0 || err != 0)
		return ERR_PROTOCOL;
	if (s->joined > s->join_tick)
		wrong(s, "joined behind what was asked for");
	s->state = SINK_ON;
	buf_reset(&s->part);
	if (!s->has_pos) {
		/* the snapshot */
		s->snapshots++;
		s->has_pos = true;
		memset(&s->pos, 0, sizeof(s->pos));
		snprintf(s->pos.server, sizeof(s->pos.server), "%s",
		    s->t->conf.server);
		s->pos.reboot_id = s->t->conf.reboot_id;
		s->pos.server_id = s->w->server_id;
		s->pos.tick = s->joined;
		for (k = 0; k < WAL_KEYS; k++)
			s->durable[k] = wal_value(s->w, s->channel, k,
			    s->joined);
		memcpy(s->have, s->durable, sizeof(s->have));
	}
	s->noted = MAX(s->noted, s->joined);
	if (!s->keeps_quiet)
		sink_ack(s, s->noted, s->joined);
	return 0;
}

static int
on_asked(struct sink *s, struct rbuf *m)
{
	if (tail_evidence_get(m, &s->evidence) != 0)
		return ERR_PROTOCOL;
	s->state = SINK_OFF;
	if (s->manual)
		return 0;
	if (s->evidence.proven && !s->evidence.gap &&
	    s->pos.tick >= s->evidence.wal_first &&
	    s->pos.tick <= s->evidence.wal_last)
		sink_join(s, s->evidence.join);
	else {
		printf("# %s: at %llu/%llu proven up to %llu: proven %d, gap "
		    "%d, log %llu to %llu\n", s->cuid,
		    (unsigned long long)s->pos.reboot_id,
		    (unsigned long long)s->pos.tick,
		    (unsigned long long)s->pos.proof_tick,
		    s->evidence.proven, s->evidence.gap,
		    (unsigned long long)s->evidence.wal_first,
		    (unsigned long long)s->evidence.wal_last);
		s->has_pos = false;
		sink_join(s, ROUTE_FROM_NOW);
	}
	return 0;
}

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct sink	*s = arg;
	struct rbuf	 m = { f->payload, f->len };
	uint64_t	 tick;
	uint8_t		 state;

	switch (f->type) {
	case MSG_TAIL_LINES:
		return on_lines(s, &m);
	case MSG_TAIL_END:
		return on_end(s, &m);
	case MSG_TAIL_ASK_ANS:
		return on_asked(s, &m);
	case MSG_TAIL_JOIN_ANS:
		return on_joined(s, &m);
	case MSG_TAIL_BEHIND:
		if (get_u64(&m, &tick) != 0)
			return ERR_PROTOCOL;
		s->behinds++;
		s->behind = tick;
		s->noted = MAX(s->noted, tick);
		if (s->state == SINK_ON && !s->keeps_quiet)
			sink_ack(s, tick, s->pos.tick);
		return 0;
	case MSG_TAIL_STATE:
		if (get_u8(&m, &state) != 0)
			return ERR_PROTOCOL;
		s->detached = state == ROUTE_DETACHED;
		s->detaches += s->detached;
		return 0;
	case MSG_TAIL_GONE:
		if (s->state != SINK_ON)
			return 0;
		(void)get_u8(&m, &s->gone_why);
		s->gone++;
		s->state = SINK_OFF;
		s->has_pos = false;
		ask_or_join(s);
		return 0;
	default:
		return ERR_PROTOCOL;
	}
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct sink	*s = arg;

	if (why != ERR_CLOSED && why != ERR_TRUNCATED)
		wrong(s, err_text(why));
	s->state = SINK_OFF;
	peer_free(&s->peer);
}

static const struct peer_ops	 sink_ops = {
	.message = on_message, .lost = on_lost
};

void
sink_init(struct sink *s, struct wal *w, unsigned channel)
{
	memset(s, 0, sizeof(*s));
	s->w = w;
	s->channel = channel;
	snprintf(s->cuid, sizeof(s->cuid), "c1/s%u", channel);
}

static void
pair(int fd[2])
{
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
}

void
sink_connect(struct sink *s, struct tail *t)
{
	char	 name[64];
	int	 fd[2];

	pair(fd);
	snprintf(name, sizeof(name), "send d/c/%u", s->channel);
	s->t = t;
	tail_take_send(t, name, fd[0]);
	s->peer = peer_new(fd[1], "tail", &sink_ops, s);
	CU_ASSERT_EQUAL_FATAL(peer_attach(s->peer, fake_loop), 0);
	s->noted = 0;
	ask_or_join(s);
}

void
sink_crash(struct sink *s)
{
	if (s->peer != NULL)
		peer_free(&s->peer);
	s->state = SINK_OFF;
	s->detached = false;
	buf_free(&s->part);
	memcpy(s->have, s->durable, sizeof(s->have));
}

void
sink_ask(struct sink *s)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, "d");
	put_str(&b, s->cuid);
	put_bool(&b, s->has_pos);
	pos_put(&b, &s->pos);
	s->state = SINK_ASKED;
	(void)peer_send_buf(s->peer, MSG_TAIL_ASK_REQ, 1, &b);
}

void
sink_join(struct sink *s, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	put_str(&b, "d");
	put_str(&b, s->cuid);
	put_u64(&b, tick);
	s->state = SINK_JOINING;
	s->behind = 0;
	s->join_tick = tick;
	(void)peer_send_buf(s->peer, MSG_TAIL_JOIN_REQ, 2, &b);
}

bool
sink_is_done(const struct sink *s)
{
	unsigned	 k;

	if (s->state != SINK_ON || s->detached)
		return false;
	for (k = 0; k < WAL_KEYS; k++)
		if (s->durable[k] != wal_value(s->w, s->channel, k,
		    UINT64_MAX))
			return false;
	return true;
}

/* ---- watermarks --------------------------------------------------------- */

static int
on_mark(struct peer *p, const struct frame *f, void *arg)
{
	struct marks		*mk = arg;
	struct rbuf		 m = { f->payload, f->len }, in;
	struct channel_watermark w;
	const struct sink	*s;
	const uint8_t		*data;
	char			 target[64];
	size_t			 n;

	if (f->type != MSG_TAIL_WATERMARK ||
	    get_str(&m, target, sizeof(target)) != 0 ||
	    get_bytes(&m, &data, &n) != 0 || get_end(&m) != 0)
		return ERR_PROTOCOL;
	in.p = data;
	in.left = n;
	if (channel_watermark_get(&in, &w) != 0)
		return ERR_PROTOCOL;
	mk->count++;
	if (w.pos.reboot_id == mk->reboot && (w.pos.tick < mk->tick ||
	    w.source_us < mk->source_us)) {
		printf("# watermarks go back\n");
		mk->wrong++;
	}
	mk->reboot = w.pos.reboot_id;
	for (s = mk->sinks; s < mk->sinks + mk->n; s++)
		if (s->state == SINK_ON &&
		    wal_last(mk->w, s->channel, w.pos.tick) > s->noted) {
			printf("# watermark %llu: %s has noted %llu\n",
			    (unsigned long long)w.pos.tick, s->cuid,
			    (unsigned long long)s->noted);
			mk->wrong++;
		}
	mk->tick = w.pos.tick;
	mk->source_us = w.source_us;
	mk->newest = w.newest_tick;
	return 0;
}

static void
on_mark_lost(struct peer *p, int why, void *arg)
{
	struct marks	*mk = arg;

	peer_free(&mk->peer);
}

static const struct peer_ops	 mark_ops = {
	.message = on_mark, .lost = on_mark_lost
};

void
marks_connect(struct marks *mk, struct tail *t)
{
	int	 fd[2];

	pair(fd);
	tail_take_api(t, "api", fd[0]);
	mk->peer = peer_new(fd[1], "tail", &mark_ops, mk);
	CU_ASSERT_EQUAL_FATAL(peer_attach(mk->peer, fake_loop), 0);
}

void
marks_stop(struct marks *mk)
{
	if (mk->peer != NULL)
		peer_free(&mk->peer);
}
