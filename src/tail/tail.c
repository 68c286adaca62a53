/* tail.c - the life of a tail; see tail.h and tail_priv.h */
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json_object.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "tail/tail_priv.h"

#define SECOND_MS	1000
#define HOLD_CHECK_S	5
#define LOW_BYTES	((size_t)64 * 1024)
#define MMAP_BYTES	(8 * 1024 * 1024)
/* Who was told to repair and did not join is forgotten after a week. */
#define FLOOR_US	((uint64_t)7 * 86400 * 1000000)

static void	on_second(void *arg);
static void	on_joins(void *arg);

/* ---- the object --------------------------------------------------------- */

static void
reader_init(struct tail *t, struct tail_reader *rd, bool live)
{
	rd->t = t;
	rd->live = live;
	TAILQ_INIT(&rd->touched);
	TAILQ_INIT(&rd->earlies);
	TAILQ_INIT(&rd->doubted);
}

static void
tail_init(struct tail *t, struct loop *loop, struct arango *cluster,
    const char *data_dir, const struct tail_conf *conf)
{
	struct err_msg	 m;

	t->loop = loop;
	t->cluster = cluster;
	t->data_dir = data_dir;
	t->conf = *conf;
	t->route = route_new(NULL);
	t->next_id = 1;
	t->start_ms = loop_now_ms(loop);
	TAILQ_INIT(&t->rows);
	TAILQ_INIT(&t->conns);
	TAILQ_INIT(&t->asks);
	TAILQ_INIT(&t->sending);
	TAILQ_INIT(&t->detoured);
	TAILQ_INIT(&t->pending);
	reader_init(t, &t->live, true);
	reader_init(t, &t->refill, false);
	if (arango_server_put(cluster, conf->server, ARANGO_DBSERVER,
	    conf->url, &t->server, &m) != 0)
		fatal("%s", m.text);
	t->mark_timer = loop_timer_new(loop, tail_mark, t);
	t->drain_timer = loop_timer_new(loop, tail_drain, t);
	t->second_timer = loop_timer_new(loop, on_second, t);
	loop_task_init(&t->join_task, on_joins, t);
}

struct tail *
tail_new(struct loop *loop, struct arango *cluster, const char *data_dir,
    const struct tail_conf *conf)
{
	struct tail	*t = xcalloc(1, sizeof(*t));

	tail_init(t, loop, cluster, data_dir, conf);
	return t;
}

void
tail_start(struct tail *t)
{
	loop_timer_start_periodic(t->mark_timer, TAIL_MARK_MS);
	loop_timer_start_periodic(t->second_timer, SECOND_MS);
	t->driving = true;
	fiber_spawn(t->loop, tail_drive, t);
}

void
tail_stop(struct tail *t)
{
	if (t->stopping)
		return;
	t->stopping = true;
	tail_reader_stop(&t->refill);
	tail_reader_stop(&t->live);
	/* what is registered stays: the next process goes on (R2) */
	arango_hold_stop(&t->hold);
	arango_cancel(&t->cancel);
	(void)fiber_cond_broadcast(&t->wake);
	(void)tail_file_save(t);
}

void
tail_free(struct tail **tp)
{
	struct tail	*t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	while (!TAILQ_EMPTY(&t->conns))
		tail_conn_free(TAILQ_FIRST(&t->conns));
	while (!TAILQ_EMPTY(&t->rows))
		tail_row_free(TAILQ_FIRST(&t->rows));
	if (t->api != NULL)
		peer_free(&t->api);
	loop_timer_free(&t->mark_timer);
	loop_timer_free(&t->drain_timer);
	loop_timer_free(&t->second_timer);
	loop_task_cancel(&t->join_task);
	route_free(&t->route);
	tail_floors_free(t);
	buf_free(&t->scratch);
	buf_free(&t->saved);
	while (t->nspare != 0)
		buf_free(&t->spare[--t->nspare]);
	free(t);
}

/* ---- connections -------------------------------------------------------- */

void
tail_take_send(struct tail *t, const char *name, int fd)
{
	struct tail_conn	*c, *old;

	TAILQ_FOREACH(old, &t->conns, next)
		if (strcmp(peer_name(old->peer), name) == 0)
			break;
	if (old != NULL)
		tail_conn_free(old);
	c = xcalloc(1, sizeof(*c));
	c->t = t;
	c->peer = peer_new(fd, name, &tail_send_ops, c);
	/* What may wait is decided by sync/route: no bound here. */
	peer_set_limits(c->peer, TAIL_MESSAGE_MAX, LOW_BYTES, SIZE_MAX / 8);
	TAILQ_INSERT_TAIL(&t->conns, c, next);
	if (peer_attach(c->peer, t->loop) != 0)
		tail_conn_free(c);
}

static int
on_api_message(struct peer *p, const struct frame *f, void *arg)
{
	return ERR_PROTOCOL;	/* it has nothing to say */
}

static void
on_api_lost(struct peer *p, int why, void *arg)
{
	struct tail	*t = arg;

	if (t->api == p)
		t->api = NULL;
	peer_free(&p);
}

static const struct peer_ops	 api_ops = {
	.message = on_api_message, .lost = on_api_lost
};

void
tail_take_api(struct tail *t, const char *name, int fd)
{
	if (t->api != NULL)
		peer_free(&t->api);
	t->api = peer_new(fd, name, &api_ops, t);
	if (peer_attach(t->api, t->loop) != 0)
		peer_free(&t->api);
}

static void
on_joins(void *arg)
{
	tail_joins(arg);
}

void
tail_server_is(struct tail *t, const char *url, uint64_t reboot_id)
{
	struct err_msg	 m;

	if (strcmp(url, t->conf.url) != 0) {
		if (arango_server_put(t->cluster, t->conf.server,
		    ARANGO_DBSERVER, url, &t->server, &m) != 0) {
			log_warning("%s", m.text);
			return;
		}
		str_copy(t->conf.url, sizeof(t->conf.url), url);
	}
	if (reboot_id == t->conf.reboot_id || reboot_id == 0)
		return;
	log_notice("the server was started again (rebootId %" PRIu64 ")",
	    reboot_id);
	t->conf.reboot_id = reboot_id;
	/* It has forgotten us: this comes before all else (R2). */
	if (t->hold != NULL)
		arango_hold_now(t->hold);
	t->restart = true;
	(void)fiber_cond_broadcast(&t->wake);
}

/* ---- status ------------------------------------------------------------- */

void
tail_set_state(struct tail *t, enum tail_state state, const char *why)
{
	bool	 same = t->state == state &&
		    strcmp(t->error.text, why == NULL ? "" : why) == 0;

	if (same)
		return;
	if (state == TAIL_DOWN && t->state != TAIL_DOWN)
		log_warning("%s", why);
	t->state = state;
	str_copy(t->error.text, sizeof(t->error.text), why == NULL ? "" : why);
	if (t->w != NULL)
		worker_status(t->w, tail_status(t));
}

static const char *
state_word(const struct tail *t)
{
	static const char *const	 words[] = {
		[TAIL_STARTING] = "starting", [TAIL_PROVING] = "proving",
		[TAIL_RUNNING] = "running", [TAIL_DOWN] = "down"
	};

	if (t->state == TAIL_RUNNING && (t->live.pauses & TAIL_PAUSE_FULL))
		return "waiting";
	return words[t->state];
}

static void
add_u64(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_uint64(v));
}

static void
add_str(struct json_object *o, const char *name, const char *s)
{
	json_object_object_add(o, name, json_object_new_string(s));
}

struct json_object *
tail_status(struct tail *t)
{
	struct json_object	*o = json_object_new_object();
	struct route_counts	 c;
	struct tail_row		*row;
	uint64_t		 away = 0, asleep = 0;

	TAILQ_FOREACH(row, &t->rows, all) {
		away += row->conn == NULL;
		asleep += row->conn == NULL && row->asleep;
	}
	route_counts(t->route, &c);
	add_str(o, "state", state_word(t));
	if (t->error.text[0] != '\0')
		add_str(o, "error", t->error.text);
	else if (t->save_failed)
		add_str(o, "error", "the checkpoint cannot be written");
	else if (t->hold_failed)
		add_str(o, "error", "the hold of the log cannot be renewed");
	add_str(o, "server", t->conf.server);
	add_u64(o, "reboot_id", t->conf.reboot_id);
	add_u64(o, "from_tick", t->point.from);
	add_u64(o, "newest_tick", t->newest);
	add_u64(o, "held_tick", t->hold == NULL ? 0 :
	    arango_hold_tick(t->hold));
	add_u64(o, "watermark_tick", t->mark_tick);
	add_u64(o, "channels", c.channels);
	add_u64(o, "detached", c.detached - MIN(c.detached, away));
	add_u64(o, "busy", c.busy);
	add_u64(o, "away", away - asleep);
	add_u64(o, "asleep", asleep);
	add_u64(o, "spill_bytes", c.spill);
	add_u64(o, "lines", c.lines);
	add_u64(o, "bytes", c.bytes);
	add_u64(o, "not_ours_lines", c.nobody);
	return o;
}

/* Rows that nobody has come back for. */
static void
forget_rows(struct tail *t)
{
	struct tail_row	*row, *next;
	uint64_t	 now = clock_wall_us();

	tail_floors_forget(t, now - MIN(now, FLOOR_US));
	if (t->conf.max_hold_ms == 0)
		return;
	for (row = TAILQ_FIRST(&t->rows); row != NULL; row = next) {
		next = TAILQ_NEXT(row, all);
		if (row->conn == NULL && !row->asleep && now > row->away_us &&
		    (now - row->away_us) / 1000 > t->conf.max_hold_ms) {
			log_notice("%s %s: forgotten, nobody asked for it "
			    "for long", row->ch->db, row->ch->cuid);
			tail_row_free(row);
		}
	}
}

static void
on_second(void *arg)
{
	struct tail	*t = arg;
	uint64_t	 now = loop_now_ms(t->loop);

	if (t->stopping)
		return;
	tail_rows_want(t);
	if (now / SECOND_MS % HOLD_CHECK_S == 0) {
		tail_hold_check(t);
		forget_rows(t);
	}
	if (t->live.tail != NULL && now - t->saved_ms >= TAIL_CHECKPOINT_MS)
		(void)tail_file_save(t);
	if (t->w != NULL)
		worker_status(t->w, tail_status(t));
}

/* ---- the worker --------------------------------------------------------- */

static int
on_server(struct msg_in *in)
{
	struct tail	*t = in->ctx;
	char		 server[POS_SERVER_SIZE], url[256];
	uint64_t	 reboot_id;
	int		 r;

	if ((r = get_str(&in->body, server, sizeof(server))) != 0 ||
	    (r = get_str(&in->body, url, sizeof(url))) != 0 ||
	    (r = get_u64(&in->body, &reboot_id)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	if (strcmp(server, t->conf.server) != 0)
		return ERR_PROTOCOL;
	tail_server_is(t, url, reboot_id);
	return 0;
}

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct tail	*t = arg;

	if (t->stopping)
		close(fd);
	else if (strncmp(name, "send ", 5) == 0)
		tail_take_send(t, name, fd);
	else if (strncmp(name, "api", 3) == 0)
		tail_take_api(t, name, fd);
	else {
		log_warning("%s wants to talk to a tail", name);
		close(fd);
	}
}

/* What is not acknowledged is read again: nothing to drain.  Fibers that wait
 * for a server that does not answer are not waited for. */
static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct tail	*t = arg;

	tail_stop(t);
	worker_done(t->w, PROC_EXIT_OK, NULL);
}

static const struct msg_rule	 rules[] = {
	{ MSG_WORKER_SERVER, 1, 16, 1024, on_server },
	{ MSG_TAIL_ASLEEP, 1, 8, 1024, tail_on_asleep },
	{ MSG_TAIL_NOBODY, 1, 8, 1024, tail_on_nobody },
	{ 0, 0, 0, 0, NULL }
};

static const struct worker_ops	 ops = {
	.rules = rules, .connect = on_connect, .stop = on_stop
};

int
tail_main(struct member *m, const struct worker_conf *conf)
{
	struct rbuf		 in = { m->config, m->config_len };
	struct tail_conf	 c;
	struct worker		*w;
	struct tail		*t;

	if (tail_conf_get(&in, &c) != 0)
		return proc_child_fail(m->child, PROC_EXIT_CONFIG,
		    "%s was started with a configuration that it cannot read",
		    m->child->name);
	/* The worker wants its argument, and makes the cluster for it. */
	t = xcalloc(1, sizeof(*t));
	w = worker_new(m, conf, &ops, t);
	tail_init(t, m->child->loop, worker_cluster(w), conf->data_dir, &c);
	t->w = w;
	/* Buffers of some MiB come and go with each response. */
	(void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * MMAP_BYTES);
	tail_start(t);
	return worker_run(w);
}
