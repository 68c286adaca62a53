/* far_end.c - see far_end.h */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "garbage.h"
#include "far_end.h"

#define EXPECT_MS	10000

static struct far_end	 far;
uint64_t		 far_idle_ms;

void
far_fail(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	fprintf(stderr, "# ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n# the shard holds: %s\n# status: %s\n",
	    fake_shard_text(&far.shard), far.status);
	va_end(ap);
	_exit(1);
}

/* ---- messages ----------------------------------------------------------- */

static int
on_message(struct peer *p, const struct frame *fr, void *arg)
{
	struct far_end		*f = arg;
	struct rbuf		 m = { fr->payload, fr->len };
	struct far_message	*n;
	struct sync_pos		 pos;
	const uint8_t		*text;
	size_t			 len;

	switch (fr->type) {
	case MSG_WORKER_STATUS:
		if (get_bytes(&m, &text, &len) == 0)
			snprintf(f->status, sizeof(f->status), "%.*s",
			    (int)len, (const char *)text);
		return 0;
	case MSG_LINK_APPLIED:
		return get_u64(&m, &f->applied) != 0 ||
		    get_bool(&m, &f->stalled) != 0 ? ERR_FORMAT : 0;
	case MSG_CH_COMMIT:
		if (pos_get(&m, &pos) != 0)
			return ERR_FORMAT;
		f->committed = pos.tick;
		return 0;
	case MSG_CH_CREDIT:
		return 0;
	default:
		break;
	}
	if (f->garbling) {
		if (fr->type == MSG_CH_SUBSCRIBE)
			f->sub = fr->id;
		return 0;
	}
	n = xmalloc(sizeof(*n) + fr->len);
	n->next = NULL;
	n->type = fr->type;
	n->id = fr->id;
	n->len = fr->len;
	memcpy(n->data, fr->payload, fr->len);
	*f->last = n;
	f->last = &n->next;
	fiber_cond_broadcast(&f->came);
	return 0;
}

static void
forget(struct far_end *f, const struct peer *p)
{
	if (p == f->garbler)
		f->garbler = NULL;
	if (p == f->control)
		f->control = NULL;
	if (p == f->link)
		f->link = NULL;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct far_end	*f = arg;

	if (p == f->garbler || f->garbling) {
		forget(f, p);
		peer_free(&p);
		return;
	}
	far_fail("%s: the connection is lost: %s", peer_name(p),
	    err_text(why));
}

static const struct peer_ops	 ops = {
	.message = on_message, .lost = on_lost
};

static bool
is_of_control(uint16_t type)
{
	return type >> 8 == MSG_WORKER_STATUS >> 8;
}

/* The first one from the same side; between sides there is no order. */
static struct far_message *
take_first(struct far_end *f, uint16_t like)
{
	struct far_message	**at, *n;

	for (at = &f->first; (n = *at) != NULL; at = &n->next)
		if (is_of_control(n->type) == is_of_control(like))
			break;
	if (n != NULL && (*at = n->next) == NULL)
		f->last = at;
	return n;
}

struct far_message *
far_expect(struct far_end *f, uint16_t type)
{
	uint64_t		 end = loop_now_ms(f->loop) + EXPECT_MS;
	struct far_message	*n;

	while ((n = take_first(f, type)) == NULL)
		if (fiber_cond_wait_until(&f->came, end) != 0 &&
		    loop_now_ms(f->loop) >= end)
			far_fail("%s does not come", msg_name(type));
	if (n->type != type)
		far_fail("%s instead of %s", msg_name(n->type),
		    msg_name(type));
	return n;
}

void
far_skip(struct far_end *f, uint16_t type)
{
	free(far_expect(f, type));
}

void
far_down(struct far_end *f, uint16_t type, struct buf *b)
{
	struct buf	 none = BUF_INIT;

	if (b == NULL)
		b = &none;
	far_check(peer_send_buf(f->link, type, f->sub, b) == 0);
	f->downs++;
	buf_free(b);
}

void
far_control(struct far_end *f, uint16_t type, struct buf *b)
{
	struct buf	 none = BUF_INIT;

	if (b == NULL)
		b = &none;
	far_check(peer_send_buf(f->control, type, 1, b) == 0);
	buf_free(b);
}

/* ---- phrases ------------------------------------------------------------ */

void
far_pos(struct sync_pos *p, uint64_t tick)
{
	memset(p, 0, sizeof(*p));
	snprintf(p->server, sizeof(p->server), "PRMR-source");
	p->reboot_id = 1;
	p->tick = tick;
}

void
far_target(struct far_end *f, const struct fake_shard *to, const char *server,
    uint64_t reboot_id)
{
	struct worker_target	 t;
	struct buf		 b = BUF_INIT;

	memset(&t, 0, sizeof(t));
	snprintf(t.cid, sizeof(t.cid), "77");
	snprintf(t.coll, sizeof(t.coll), "c");
	snprintf(t.shard, sizeof(t.shard), "s1");
	snprintf(t.server, sizeof(t.server), "%s", server);
	snprintf(t.url, sizeof(t.url), "%s", to->url);
	t.reboot_id = reboot_id;
	t.ncopies = 1;
	snprintf(t.copies[0].server, sizeof(t.copies[0].server), "PRMR-other");
	t.copies[0].reboot_id = 1;
	worker_target_put(&b, &t);
	far_control(f, MSG_WORKER_TARGET, &b);
}

void
far_link(struct far_end *f, bool up)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, up);
	far_check(peer_send_buf(f->link, MSG_LINK_UP, 0, &b) == 0);
	f->downs++;
	buf_free(&b);
}

void
far_subscribed(struct far_end *f)
{
	struct far_message	*n = far_expect(f, MSG_CH_SUBSCRIBE);
	struct rbuf		 m = { n->data, n->len };

	far_check(channel_subscribe_get(&m, &f->subscribe) == 0);
	far_check(n->id > f->sub);
	f->sub = n->id;
	free(n);
}

void
far_begin(struct far_end *f)
{
	far_link(f, true);
	far_target(f, &f->shard, "PRMR-target", 1);
	far_subscribed(f);
}

void
far_resume(struct far_end *f, uint64_t tick)
{
	struct channel_resume	 r;
	struct buf		 b = BUF_INIT;

	memset(&r, 0, sizeof(r));
	far_pos(&r.pos, tick);
	channel_resume_put(&b, &r);
	far_down(f, MSG_CH_RESUME, &b);
}

void
far_repair(struct far_end *f, const char *why)
{
	struct buf	 b = BUF_INIT;

	put_u8(&b, RESUME_NO_RECORD);
	put_str(&b, why);
	far_down(f, MSG_CH_REPAIR, &b);
	far_skip(f, MSG_WORKER_PLACE_REQ);
	far_control(f, MSG_WORKER_PLACE_ANS, NULL);
}

void
far_cut(struct far_end *f, uint64_t tick, bool compare)
{
	struct channel_cut	 c;
	struct buf		 b = BUF_INIT;

	memset(&c, 0, sizeof(c));
	far_pos(&c.pos, tick);
	c.compare = compare;
	channel_cut_put(&b, &c);
	far_down(f, MSG_CH_CUT, &b);
}

void
far_lines(struct far_end *f, const char *lines, uint64_t tick)
{
	struct buf	 b = BUF_INIT;
	struct sync_pos	 p;

	far_pos(&p, tick);
	channel_record_put(&b, 1, tick);
	channel_stored_put(&b, tick != 0 ? CHANNEL_BOUNDARY : 0, &p);
	buf_append_str(&b, lines);
	far_down(f, MSG_CH_RECORD, &b);
}

void
far_caught_up(struct far_end *f)
{
	struct buf	 b = BUF_INIT;

	put_u64(&b, 0);
	far_down(f, MSG_CH_CAUGHT_UP, &b);
}

void
far_start_empty(struct far_end *f)
{
	struct buf	 b = BUF_INIT;

	far_begin(f);
	far_repair(f, "no record");
	far_cut(f, 100, false);
	far_skip(f, MSG_CH_AT_CUT);
	put_u64(&b, 0);
	far_down(f, MSG_CH_SNAP_END, &b);
	far_skip(f, MSG_CH_REPAIRED);
	far_skip(f, MSG_WORKER_PLACE_FREE);
	far_caught_up(f);
	far_until(f, strstr(f->status, "\"running\"") != NULL, "running");
}

void
far_op(struct buf *b, const char *op)
{
	char		 key[64], rev[64], u[64];
	unsigned int	 tick;
	int		 n;

	n = sscanf(op, "i %u %63s %63s %63s", &tick, key, rev, u);
	if (n >= 3) {
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2300,\"data\":"
		    "{\"_key\":\"%s\",\"_rev\":\"%s\"", tick, key, rev);
		if (n == 4)
			buf_printf(b, ",\"u\":\"%s\"", u);
		buf_append_str(b, "}}\n");
	} else if (sscanf(op, "d %u %63s", &tick, key) == 2)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2302,\"data\":"
		    "{\"_key\":\"%s\",\"_rev\":\"x\"}}\n", tick, key);
	else if (sscanf(op, "t %u", &tick) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2004}\n", tick);
	else if (sscanf(op, "e %u", &tick) == 1)
		buf_printf(b, "{\"tick\":\"%u\",\"type\":2001}\n", tick);
	else
		far_fail("no such operation: %s", op);
}

void
far_ops(struct far_end *f, const char *text, uint64_t tick)
{
	struct buf	 b = BUF_INIT;
	char		*copy = xstrdup(text), *s, *save = NULL;

	for (s = strtok_r(copy, ";", &save); s != NULL;
	    s = strtok_r(NULL, ";", &save))
		far_op(&b, s);
	far_lines(f, buf_cstr(&b), tick);
	buf_free(&b);
	free(copy);
}

void
far_op_lines(struct far_end *f, const char *before, const char *lines,
    const char *after, uint64_t tick)
{
	struct buf	 b = BUF_INIT;

	if (before != NULL)
		far_op(&b, before);
	buf_append_str(&b, lines);
	if (after != NULL)
		far_op(&b, after);
	far_lines(f, buf_cstr(&b), tick);
	buf_free(&b);
}

void
far_docs(struct far_end *f, const char *const *docs, size_t n)
{
	struct far_message	*q = far_expect(f, MSG_CH_FETCH);
	struct rbuf		 m = { q->data, q->len };
	struct buf		 b = BUF_INIT;
	uint32_t		 request, keys;
	size_t			 i, half;

	far_check(get_u32(&m, &request) == 0 && get_u32(&m, &keys) == 0);
	far_check(keys == n);
	free(q);
	for (i = 0; i < n; i++) {
		channel_docs_put(&b, request, 0);
		if (docs[i] == NULL) {
			channel_doc_put(&b, (uint32_t)i, CHANNEL_DOC_GONE, "",
			    0);
			far_down(f, MSG_CH_DOCS, &b);
			continue;
		}
		/* in two pieces, as a large one comes */
		half = strlen(docs[i]) / 2;
		b.data[b.len - 1] = CHANNEL_MORE;
		channel_doc_put(&b, (uint32_t)i, CHANNEL_DOC_FOUND, docs[i],
		    half);
		far_down(f, MSG_CH_DOCS, &b);
		channel_docs_put(&b, request, 0);
		channel_doc_put(&b, (uint32_t)i, CHANNEL_DOC_GOES_ON,
		    docs[i] + half, strlen(docs[i]) - half);
		far_down(f, MSG_CH_DOCS, &b);
	}
	channel_docs_put(&b, request, CHANNEL_LAST);
	far_down(f, MSG_CH_DOCS, &b);
}

/* ---- a scenario --------------------------------------------------------- */

static void
script(void *arg)
{
	struct far_end	*f = arg;

	f->script(f);
	f->child.on_stop(f->child.on_stop_arg, PROC_STOP_ASKED);
}

static struct peer *
socket_to(struct far_end *f, const char *name, bool connect)
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

/* Both ends are there once the process has asked for them. */
static void
connect_each(struct far_end *f)
{
	f->control = socket_to(f, "control", true);
	f->link = socket_to(f, "link source", true);
}

static void
connect_both(void *arg)
{
	struct far_end	*f = arg;

	connect_each(f);
	fiber_spawn(f->loop, script, f);
}

void
far_garble(struct far_end *f, const char *name)
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
	peer_free(&f->link);
	fiber_sleep_ms(20);
	f->garbling = false;
	connect_each(f);
}

static void
scenario(void (*fn)(struct far_end *), const char *dir)
{
	struct far_end		*f = &far;
	struct receive_conf	 c;
	struct buf		 config = BUF_INIT;
	const char		*endpoints[2];
	struct worker_conf	 conf = { .version = "test" };
	int			 e;

	log_set_level(getenv("TEST_LOG") != NULL ? LOG_LEVEL_DEBUG :
	    LOG_LEVEL_ERROR);
	memset(f, 0, sizeof(*f));
	f->script = fn;
	f->last = &f->first;
	f->loop = loop_new();
	snprintf(f->dir, sizeof(f->dir), "%s", dir);
	fake_shard_start(&f->shard, f->loop);
	fake_shard_start(&f->other, f->loop);
	fake_shard_start(&f->coordinator, f->loop);
	memset(&c, 0, sizeof(c));
	snprintf(c.source, sizeof(c.source), "S");
	snprintf(c.name.db, sizeof(c.name.db), "shop");
	c.name.cid = 10049;
	c.settle_ms = 100;
	c.idle_ms = far_idle_ms;
	receive_conf_put(&config, &c);
	endpoints[0] = f->coordinator.url;
	endpoints[1] = NULL;
	conf.data_dir = f->dir;
	conf.cluster_endpoints = endpoints;
	f->child.name = "receive shop/10049/0";
	f->child.loop = f->loop;
	(void)socket_to(f, "supervisor", false);
	f->member.child = &f->child;
	f->member.config = config.data;
	f->member.config_len = config.len;
	loop_defer(f->loop, connect_both, f);
	e = receive_main(&f->member, &conf);
	if (e != 0)
		fprintf(stderr, "# exit %d\n", e);
	_exit(e);
}

int
far_run_in(void (*fn)(struct far_end *), const char *dir)
{
	int	 status;
	pid_t	 pid;

	fflush(stdout);
	if ((pid = fork()) == 0)
		scenario(fn, dir);
	if (pid == -1 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int
far_run(void (*fn)(struct far_end *))
{
	char	 dir[] = "/tmp/receive-test-XXXXXX";
	int	 e;

	if (mkdtemp(dir) == NULL)
		return -1;
	e = far_run_in(fn, dir);
	(void)fsx_remove_tree(dir);
	return e;
}
