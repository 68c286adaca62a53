/* near_end.c - see near_end.h */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "http/server.h"
#include "json/scan.h"
#include "garbage.h"
#include "near_end.h"

#define EXPECT_MS	10000

static struct near_end	 near;
uint64_t		 near_quota, near_min_free, near_idle_ms;

void
near_fail(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	fprintf(stderr, "# ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n# status: %s\n", near.status);
	va_end(ap);
	(void)fsx_remove_tree(near.dir);
	_exit(1);
}

/* ---- the source -------------------------------------------------------- */

static void
json(struct http_req *req, int status, struct buf *b)
{
	http_reply(req, status, "application/json", b);
}

static void
agency(struct near_end *f, struct buf *b)
{
	buf_printf(b, "[{\"arango\":{\"Plan\":{\"Collections\":{\"shop\":{"
	    "\"10049\":{\"shards\":{\"s1\":[\"%s\",\"PRMR-x\"]}}}}},"
	    "\"Current\":{\"Collections\":{\"shop\":{\"10049\":{\"s1\":{"
	    "\"servers\":[\"%s\"]}}}},\"ServersKnown\":{\"PRMR-1\":{"
	    "\"rebootId\":%" PRIu64 "}}}}}]", f->leader, f->leader,
	    f->reboot_id);
}

static void
dump(struct near_end *f, struct http_req *req, struct buf *b)
{
	struct map_iter	 it;

	f->dumps++;
	if (f->dumps == f->break_at) {
		http_req_drop(req);
		return;
	}
	MAP_FOREACH(&f->docs, it)
		buf_printf(b, "%s\n", (const char *)it.value);
	http_reply_header(req, "X-Arango-Replication-Checkmore",
	    f->dumps < f->chunks ? "true" : "false");
	http_reply(req, b->len == 0 ? 204 : 200, "application/x-arango-dump",
	    b);
}

static void
documents(struct near_end *f, struct http_req *req, struct buf *b)
{
	struct scan_iter	 it;
	struct scan_span	 v;
	struct buf		 key = BUF_INIT;
	const uint8_t		*p;
	const char		*doc;
	size_t			 len, n = 0;

	p = http_req_body(req, &len);
	scan_object(&it, (const char *)p, len);
	buf_append_u8(b, '[');
	while (scan_array_next(&it, &v) == 1) {
		if (n++ > 0)
			buf_append_u8(b, ',');
		buf_reset(&key);
		near_check(scan_string(&v, &key) == 0);
		doc = map_get(&f->docs, buf_cstr(&key));
		buf_append_str(b, doc != NULL ? doc :
		    "{\"error\":true,\"errorNum\":1202}");
	}
	buf_append_u8(b, ']');
	buf_free(&key);
	json(req, 200, b);
}

static void
handle(struct http_req *req, void *arg)
{
	struct near_end	*f = arg;
	const char	*path = http_req_path(req);
	struct buf	 b = BUF_INIT;

	if (strstr(path, "/_admin/cluster/health") != NULL) {
		buf_printf(&b, "{\"Health\":{\"AGNT-1\":{\"Role\":\"Agent\","
		    "\"Endpoint\":\"%s\"}}}", f->url);
		json(req, 200, &b);
	} else if (strstr(path, "/agency/config") != NULL) {
		buf_printf(&b, "{\"term\":1,\"leaderId\":\"AGNT-1\","
		    "\"commitIndex\":9,\"configuration\":{\"pool\":{"
		    "\"AGNT-1\":\"%s\"}}}", f->url);
		json(req, 200, &b);
	} else if (strstr(path, "/agency/read") != NULL) {
		agency(f, &b);
		json(req, 200, &b);
	} else if (strstr(path, "/replication/batch") != NULL) {
		f->snapshots += http_req_method(req) == HTTP_POST;
		buf_printf(&b, "{\"id\":\"1\",\"lastTick\":\"%" PRIu64 "\"}",
		    f->snapshot_tick);
		json(req, 200, &b);
	} else if (strstr(path, "/replication/dump") != NULL)
		dump(f, req, &b);
	else if (strstr(path, "/s1/count") != NULL) {
		buf_printf(&b, "{\"count\":%zu}", map_count(&f->docs));
		json(req, 200, &b);
	} else if (strstr(path, "/document/s1") != NULL)
		documents(f, req, &b);
	else if (strstr(path, "/wal/lastTick") != NULL) {
		buf_printf(&b, "{\"tick\":\"%" PRIu64 "\",\"time\":"
		    "\"2026-01-01T00:00:00Z\",\"server\":{\"version\":"
		    "\"3.11.8\",\"serverId\":\"77\"}}", f->wal_tick);
		json(req, 200, &b);
	} else {
		buf_append_str(&b, "{\"error\":true,\"errorNum\":404}");
		json(req, 404, &b);
	}
	buf_free(&b);
}

/* ---- messages ---------------------------------------------------------- */

/* The tail's place is asked for now and then: it is always answered alike. */
static void
answer_place(struct near_end *f, const struct frame *fr)
{
	struct tail_evidence	 e;
	struct buf		 b = BUF_INIT;

	memset(&e, 0, sizeof(e));
	snprintf(e.server, sizeof(e.server), "PRMR-1");
	e.reboot_id = f->reboot_id;
	e.server_id = 77;
	e.proven = true;
	e.wal_first = 1;
	e.wal_last = e.join = e.through = f->server_tail;
	e.rounds = f->rounds += f->idle;
	tail_evidence_put(&b, &e);
	near_tail(f, MSG_TAIL_ASK_ANS, fr->id, &b);
}

static bool
by_the_way(struct near_end *f, struct peer *p, const struct frame *fr)
{
	struct rbuf	 m = { fr->payload, fr->len };
	const uint8_t	*text;
	size_t		 len;

	switch (fr->type) {
	case MSG_WORKER_STATUS:
		if (get_bytes(&m, &text, &len) == 0)
			snprintf(f->status, sizeof(f->status), "%.*s",
			    (int)len, (const char *)text);
		return true;
	case MSG_TAIL_ACK:
		near_check(get_u64(&m, &f->noted) == 0 &&
		    get_u64(&m, &f->durable) == 0);
		return true;
	case MSG_TAIL_BLOCK:
		return get_bool(&m, &f->blocked) == 0;
	case MSG_CH_QUEUED:
		near_check(get_u64(&m, &f->queued) == 0);
		near_check(peer_send(p, MSG_SEND_NOTED, 0, fr->payload,
		    fr->len) == 0);
		f->ups++;
		return true;
	case MSG_TAIL_ASK_REQ:
		if (f->server_tail == 0)
			return false;
		answer_place(f, fr);
		return true;
	default:
		return false;
	}
}

static int
on_message(struct peer *p, const struct frame *fr, void *arg)
{
	struct near_end		*f = arg;
	struct near_message	*n;

	if (by_the_way(f, p, fr))
		return 0;
	if (f->garbling)
		return 0;
	n = xmalloc(sizeof(*n) + fr->len);
	n->next = NULL;
	n->type = fr->type;
	n->id = fr->id;
	n->len = fr->len;
	if (fr->len > 0)
		memcpy(n->data, fr->payload, fr->len);
	*f->last = n;
	f->last = &n->next;
	fiber_cond_broadcast(&f->came);
	return 0;
}

static void
forget(struct near_end *f, const struct peer *p)
{
	if (p == f->garbler)
		f->garbler = NULL;
	if (p == f->control)
		f->control = NULL;
	if (p == f->tail)
		f->tail = NULL;
	if (p == f->api)
		f->api = NULL;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct near_end	*f = arg;

	if (p == f->garbler || f->garbling) {
		forget(f, p);
		peer_free(&p);
		return;
	}
	near_fail("%s: the connection is lost: %s", peer_name(p),
	    err_text(why));
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

/* The first one from the same side; between sides there is no order. */
static struct near_message *
take_first(struct near_end *f, uint16_t like)
{
	struct near_message	**at, *n;

	for (at = &f->first; (n = *at) != NULL; at = &n->next)
		if (n->type >> 8 == like >> 8)
			break;
	if (n == NULL)
		return NULL;
	if ((*at = n->next) == NULL)
		f->last = at;
	return n;
}

struct near_message *
near_expect(struct near_end *f, uint16_t type)
{
	uint64_t		 end = loop_now_ms(f->loop) + EXPECT_MS;
	struct near_message	*n;
	struct rbuf		 m;
	char			 why[512];

	while ((n = take_first(f, type)) == NULL)
		if (fiber_cond_wait_until(&f->came, end) != 0)
			near_fail("%s does not come", msg_name(type));
	m.p = n->data;
	m.left = n->len;
	if (n->type != type)
		near_fail("%s instead of %s: %s", msg_name(n->type),
		    msg_name(type), n->type == MSG_CH_CLOSED &&
		    get_str(&m, why, sizeof(why)) == 0 ? why : "");
	return n;
}

void
near_skip(struct near_end *f, uint16_t type)
{
	free(near_expect(f, type));
}

void
near_quiet(struct near_end *f, uint64_t ms)
{
	fiber_sleep_ms(ms);
	if (f->first != NULL)
		near_fail("%s comes", msg_name(f->first->type));
}

void
near_up(struct near_end *f, uint16_t type, struct buf *b)
{
	struct buf	 none = BUF_INIT;

	if (b == NULL)
		b = &none;
	near_check(peer_send_buf(f->api, type, f->sub, b) == 0);
	f->ups++;
	buf_free(b);
}

void
near_tail(struct near_end *f, uint16_t type, uint32_t id, struct buf *b)
{
	near_check(peer_send_buf(f->tail, type, id, b) == 0);
	buf_free(b);
}

/* ---- phrases ----------------------------------------------------------- */

void
near_pos(struct sync_pos *p, uint64_t tick)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->server, sizeof(p->server), "PRMR-1");
	p->reboot_id = 7;
	p->server_id = 77;
	p->tick = tick;
	p->has_proof = true;
	p->proof_from = tick - 10;
	p->proof_tick = tick - 1;
	p->proof_crc = (uint32_t)tick;
}

void
near_subscribe(struct near_end *f, const struct sync_pos *pos,
    const char *repair)
{
	struct channel_subscribe	 s;
	struct buf			 b = BUF_INIT;

	memset(&s, 0, sizeof(s));
	snprintf(s.name.db, sizeof(s.name.db), "shop");
	s.name.cid = 10049;
	snprintf(s.target_cid, sizeof(s.target_cid), "5");
	snprintf(s.target_server, sizeof(s.target_server), "PRMR-t");
	s.target_reboot = 1;
	snprintf(s.repair, sizeof(s.repair), "%s", repair);
	if (pos != NULL) {
		s.has_record = true;
		snprintf(s.record.cid, sizeof(s.record.cid), "10049");
		snprintf(s.record.target_cid, sizeof(s.record.target_cid),
		    "5");
		s.record.pos = *pos;
	}
	f->sub++;
	channel_subscribe_put(&b, &s);
	near_up(f, MSG_CH_SUBSCRIBE, &b);
}

void
near_ask(struct near_end *f, bool proven, uint64_t first, uint64_t last,
    uint64_t join)
{
	struct near_message	*n = near_expect(f, MSG_TAIL_ASK_REQ);
	struct tail_evidence	 e;
	struct buf		 b = BUF_INIT;

	memset(&e, 0, sizeof(e));
	snprintf(e.server, sizeof(e.server), "PRMR-1");
	e.reboot_id = f->reboot_id;
	e.server_id = 77;
	e.proven = proven;
	e.wal_first = first;
	e.wal_last = last;
	e.join = join;
	tail_evidence_put(&b, &e);
	near_tail(f, MSG_TAIL_ASK_ANS, n->id, &b);
	free(n);
}

void
near_join(struct near_end *f, uint64_t tick, uint64_t answer)
{
	struct near_message	*n = near_expect(f, MSG_TAIL_JOIN_REQ);
	struct rbuf		 m = { n->data, n->len };
	struct buf		 b = BUF_INIT;
	char			 db[64], cuid[96];
	uint64_t		 asked;

	near_check(get_str(&m, db, sizeof(db)) == 0 &&
	    get_str(&m, cuid, sizeof(cuid)) == 0 &&
	    get_u64(&m, &asked) == 0);
	near_check(strcmp(db, "shop") == 0 &&
	    strcmp(cuid, "c10049/s1") == 0);
	if (asked != tick)
		near_fail("joins at %" PRIu64 " instead of %" PRIu64, asked,
		    tick);
	put_i32(&b, 0);
	put_u64(&b, answer);
	near_tail(f, MSG_TAIL_JOIN_ANS, n->id, &b);
	free(n);
}

void
near_piece(struct near_end *f, const void *p, size_t n, uint8_t flags)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, flags);
	buf_append(&b, p, n);
	near_tail(f, MSG_TAIL_LINES, 0, &b);
}

void
near_end_at(struct near_end *f, uint64_t tick)
{
	struct sync_pos	 p;
	struct buf	 b = BUF_INIT;

	near_pos(&p, tick);
	put_u64(&b, 1);
	pos_put(&b, &p);
	near_tail(f, MSG_TAIL_END, 0, &b);
}

void
near_ops(struct near_end *f, const char *ops_text, uint64_t end)
{
	struct buf	 b = BUF_INIT;
	char		*copy = xstrdup(ops_text), *s, *save = NULL;
	char		 key[64], rev[64];
	unsigned int	 tick;

	for (s = strtok_r(copy, ";", &save); s != NULL;
	    s = strtok_r(NULL, ";", &save))
		if (sscanf(s, "i %u %63s %63s", &tick, key, rev) == 3)
			buf_printf(&b, "{\"tick\":\"%u\",\"type\":2300,"
			    "\"data\":{\"_key\":\"%s\",\"_rev\":\"%s\"}}\n",
			    tick, key, rev);
		else if (sscanf(s, "d %u %63s", &tick, key) == 2)
			buf_printf(&b, "{\"tick\":\"%u\",\"type\":2302,"
			    "\"data\":{\"_key\":\"%s\"}}\n", tick, key);
		else
			near_fail("no such operation: %s", s);
	near_piece(f, b.data, b.len, 0);
	if (end != 0)
		near_end_at(f, end);
	buf_free(&b);
	free(copy);
}

void
near_doc(struct near_end *f, const char *key, const char *rev)
{
	free(map_put(&f->docs, key, xasprintf("{\"_key\":\"%s\",\"_rev\":"
	    "\"%s\"}", key, rev)));
}

static void
ticks_of(const struct channel_record *rec, char *text, size_t size)
{
	const char	*p = (const char *)rec->lines, *end = p + rec->len;
	size_t		 at = strlen(text);

	while (p < end && (p = memmem(p, (size_t)(end - p), "{\"tick\":\"",
	    9)) != NULL) {
		p += 9;
		at += (size_t)snprintf(text + at, size - at, "%s%lu",
		    at == 0 ? "" : " ", strtoul(p, NULL, 10));
		near_check(at < size);
	}
}

const char *
near_records(struct near_end *f, uint64_t until_tick, struct sync_pos *pos)
{
	static char		 text[65536];
	struct near_message	*n;
	struct channel_record	 rec;
	bool			 last;

	text[0] = '\0';
	do {
		n = near_expect(f, MSG_CH_RECORD);
		near_check(n->id == f->sub);
		near_check(channel_record_get(n->data, n->len, &rec) == 0);
		ticks_of(&rec, text, sizeof(text));
		last = (rec.flags & CHANNEL_BOUNDARY) && (until_tick == 0 ||
		    rec.pos.tick == until_tick);
		if (last && pos != NULL)
			*pos = rec.pos;
		free(n);
	} while (!last);
	return text;
}

void
near_start_empty(struct near_end *f, uint64_t join, uint64_t cut)
{
	struct buf	 b = BUF_INIT;

	near_subscribe(f, NULL, "");
	near_ask(f, false, 1, join, 0);
	near_skip(f, MSG_CH_REPAIR);
	near_ask(f, false, 1, join, 0);
	f->snapshot_tick = f->wal_tick = cut;
	near_join(f, ROUTE_FROM_NOW, join);
	near_skip(f, MSG_CH_CUT);
	put_u64(&b, 0);
	near_up(f, MSG_CH_AT_CUT, &b);
	if (map_count(&f->docs) > 0)
		near_skip(f, MSG_CH_SNAP);
	near_skip(f, MSG_CH_SNAP_END);
	f->server_tail = cut;
	near_up(f, MSG_CH_REPAIRED, NULL);
	near_skip(f, MSG_CH_CAUGHT_UP);
	f->server_tail = 0;
}

void
near_closed(struct near_end *f, const char *has)
{
	struct near_message	*n = near_expect(f, MSG_CH_CLOSED);
	struct rbuf		 m = { n->data, n->len };
	char			 why[512];

	near_check(get_str(&m, why, sizeof(why)) == 0);
	if (strstr(why, has) == NULL)
		near_fail("closed: %s", why);
	free(n);
}

/* ---- a scenario -------------------------------------------------------- */

static void
script(void *arg)
{
	struct near_end	*f = arg;

	near_skip(f, MSG_SEND_HELLO);
	f->script(f);
	f->child.on_stop(f->child.on_stop_arg, PROC_STOP_ASKED);
}

static struct peer *
socket_to(struct near_end *f, const char *name, bool connect)
{
	struct peer	*p;
	int		 fd[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
		fatal("socketpair");
	p = peer_new(fd[0], name, &ops, f);
	peer_set_limits(p, (size_t)64 << 20, PEER_LOW_BYTES,
	    (size_t)64 << 20);
	if (!connect) {
		/* the supervisor: nobody reads */
		f->child.boss = peer_new(fd[1], name, &ops, f);
		return p;
	}
	if (peer_attach(p, f->loop) != 0)
		fatal("attach");
	f->member.connect_fn(f->member.connect_arg, name, 0, 1, fd[1]);
	return p;
}

static void
connect_each(struct near_end *f)
{
	f->control = socket_to(f, "control", true);
	f->tail = socket_to(f, "tail PRMR-1 to there", true);
	f->api = socket_to(f, "api", true);
}

static void
connect_all(void *arg)
{
	struct near_end	*f = arg;

	connect_each(f);
	fiber_spawn(f->loop, script, f);
}

void
near_garble(struct near_end *f, const char *name)
{
	struct garbage	 g = GARBAGE_INIT;
	struct buf	 b = BUF_INIT;
	uint16_t	 type;
	uint32_t	 id;
	int		 i;

	f->garbling = true;
	while (garbage_next(&g, &type, &id, &b)) {
		g.id = f->sub;
		if (f->garbler == NULL)
			f->garbler = socket_to(f, name, true);
		(void)peer_send(f->garbler, type, id, b.data, b.len);
		/* turns of the loop */
		for (i = 0; i < 4 && f->garbler != NULL; i++)
			fiber_sleep_ms(0);
	}
	buf_free(&b);
	peer_free(&f->garbler);
	peer_free(&f->control);
	peer_free(&f->tail);
	peer_free(&f->api);
	fiber_sleep_ms(20);
	f->garbling = false;
	connect_each(f);
}

void
near_tail_again(struct near_end *f)
{
	peer_free(&f->tail);
	f->tail = socket_to(f, "tail PRMR-1 to there", true);
}

static void
configure(struct near_end *f, struct buf *config)
{
	struct send_conf	 c;

	memset(&c, 0, sizeof(c));
	snprintf(c.target, sizeof(c.target), "there");
	snprintf(c.source, sizeof(c.source), "here");
	snprintf(c.name.db, sizeof(c.name.db), "shop");
	c.name.cid = 10049;
	snprintf(c.coll, sizeof(c.coll), "products");
	snprintf(c.shard, sizeof(c.shard), "s1");
	snprintf(c.cuid, sizeof(c.cuid), "c10049/s1");
	snprintf(c.server, sizeof(c.server), "PRMR-1");
	snprintf(c.url, sizeof(c.url), "%s", f->url);
	c.reboot_id = f->reboot_id;
	c.quota_bytes = near_quota;
	c.min_free_bytes = near_min_free;
	c.idle_ms = near_idle_ms;
	send_conf_put(config, &c);
}

static void
scenario(void (*fn)(struct near_end *), const char *dir)
{
	struct near_end		*f = &near;
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct buf		 config = BUF_INIT;
	const char		*endpoints[2] = { f->url, NULL };
	struct worker_conf	 conf = { .version = "test" };
	struct err_msg		 m;
	int			 e;

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	memset(f, 0, sizeof(*f));
	f->script = fn;
	f->last = &f->first;
	f->loop = loop_new();
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	f->leader = "PRMR-1";
	f->reboot_id = 7;
	o.handler = handle;
	o.arg = f;
	if (http_server_new(f->loop, &o, &f->srv, &m) != 0)
		fatal("%s", m.text);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d",
	    http_server_port(f->srv));
	configure(f, &config);
	conf.data_dir = f->dir;
	conf.cluster_endpoints = endpoints;
	f->child.name = "send shop/10049/0";
	f->child.loop = f->loop;
	(void)socket_to(f, "supervisor", false);
	f->member.child = &f->child;
	f->member.config = config.data;
	f->member.config_len = config.len;
	loop_defer(f->loop, connect_all, f);
	e = send_main(&f->member, &conf);
	if (e != 0)
		fprintf(stderr, "# exit %d\n", e);
	_exit(e);
}

int
near_run(void (*fn)(struct near_end *), const char *dir)
{
	char	 own[] = "/tmp/send-test-XXXXXX";
	int	 status;
	pid_t	 pid;

	if (dir == NULL && mkdtemp(own) == NULL)
		return -1;
	if (dir != NULL)
		(void)mkdir(dir, 0700);
	fflush(stdout);
	if ((pid = fork()) == 0)
		scenario(fn, dir != NULL ? dir : own);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (dir == NULL)
		(void)fsx_remove_tree(own);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}
