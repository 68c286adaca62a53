/* send.c - the process: its peers, its end, its status; see send.h */
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/log.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "proc/contract.h"
#include "send/send_priv.h"
#include "worker/worker.h"

#define STATUS_EVERY_MS	500
#define TAIL_PREFIX	"tail "
#define API_NAME	"api"
/* What waits for api before we stop: the kernel's buffer is behind it. */
#define API_HIGH_BYTES	((size_t)64 * 1024)
#define API_LOW_BYTES	((size_t)16 * 1024)
/* Blocks of pieces are larger; what is freed goes back to the system. */
#define KEEP_BYTES	(128 * 1024)
#define FLUSH_MS	200

struct send_limits send_limits = {
	.verify_ms = SHARD_LONG_MS
};

/* ---- status ------------------------------------------------------------ */

static void
add_u64(struct json_object *o, const char *name, uint64_t v)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)MIN(v,
	    INT64_MAX)));
}

static void
add_str(struct json_object *o, const char *name, const char *v)
{
	json_object_object_add(o, name, json_object_new_string(v));
}

static void
add_talk(struct json_object *o, const struct talk *t)
{
	add_u64(o, "delivered_tick", t->tick);
	add_u64(o, "credit_bytes", t->credit > t->sent ? t->credit - t->sent :
	    0);
	add_u64(o, "bulk_credit_bytes", t->bulk_credit > t->bulk_sent ?
	    t->bulk_credit - t->bulk_sent : 0);
	if (t->repairing)
		add_u64(o, "snapshot_tick", t->cut);
}

static void
on_status_timer(void *arg)
{
	struct send		*s = arg;
	struct json_object	*o = json_object_new_object();
	struct queue_usage	 u;
	const char		*word;

	add_str(o, "state", shard_state_name(shard_step_state(s->shard.step)));
	add_str(o, "step", shard_step_name(s->shard.step));
	add_str(o, "reason", s->shard.reason);
	if (s->error[0] != '\0')
		add_str(o, "error", s->error);
	add_str(o, "database", s->conf.name.db);
	add_str(o, "collection", s->conf.coll);
	add_str(o, "shard", s->conf.shard);
	add_str(o, "server", s->conf.server);
	if (s->queue != NULL) {
		queue_get_usage(s->queue, &u);
		add_u64(o, "queue_bytes", u.disk_bytes);
		add_u64(o, "unacked_bytes", u.unacked_bytes);
		word = send_room_word(s);
		add_str(o, "queue", word != NULL ? word :
		    queue_state_name(u.state == QUEUE_FULL ? QUEUE_OK :
		    u.state));
	}
	add_u64(o, "epoch", s->received.epoch);
	add_u64(o, "tick", s->received.tick);
	add_u64(o, "records", s->records);
	add_u64(o, "bytes", s->bytes);
	if (s->talk != NULL)
		add_talk(o, s->talk);
	worker_status(s->w, o);
	send_queue_idle(s);
	(void)malloc_trim(KEEP_BYTES);
}

void
send_touch(struct send *s)
{
	if (!loop_timer_is_running(s->status_timer))
		loop_timer_start(s->status_timer, STATUS_EVERY_MS);
}

void
send_trouble(struct send *s, const char *text)
{
	if (text == NULL)
		s->error[0] = '\0';
	else if (text != s->error)
		snprintf(s->error, sizeof(s->error), "%s", text);
	send_touch(s);
}

/* ---- steps ------------------------------------------------------------- */

static void
on_step(void *arg, const struct shard *sh, enum shard_step old,
    enum shard_event event)
{
	struct send	*s = arg;

	if (old != sh->step)
		log_notice("%s -> %s (%s)", shard_step_name(old),
		    shard_step_name(sh->step), sh->reason);
	/* Without a subscription it is receive that has a deadline. */
	loop_timer_stop(s->deadline);
	if (s->talk != NULL && sh->deadline_ms != UINT64_MAX)
		loop_timer_start(s->deadline, sh->deadline_ms -
		    MIN(sh->deadline_ms, loop_now_ms(s->loop)));
	loop_timer_start(s->status_timer, 0);
}

static void
on_deadline(void *arg)
{
	struct send	*s = arg;

	/* The rest by a comparison, when it was the dump (R9). */
	talk_close(s, "step %s took too long: it is begun again",
	    shard_step_name(s->shard.step));
}

void
send_step(struct send *s, enum shard_event ev, const char *fmt, ...)
{
	char	 text[sizeof(s->shard.reason)];
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)shard_event(&s->shard, ev, loop_now_ms(s->loop), NULL, "%s",
	    text);
}

void
send_give_up(struct send *s, int err, const char *text)
{
	log_error("%s", text);
	talk_close(s, "%s", text);
	s->joined = s->valid = false;
	queue_abandon(&s->queue);
	worker_done(s->w, err == ERR_CORRUPT ? PROC_EXIT_CORRUPT :
	    PROC_EXIT_IO, "%s", text);
}

/* ---- api --------------------------------------------------------------- */

static int
on_subscribe(struct send *s, const struct frame *f)
{
	struct channel_subscribe	*sub = xcalloc(1, sizeof(*sub));
	struct rbuf			 m = { f->payload, f->len };
	int				 r;

	if ((r = channel_subscribe_get(&m, sub)) == 0) {
		if (sub->name.cid != s->conf.name.cid ||
		    sub->name.shard != s->conf.name.shard ||
		    strcmp(sub->name.db, s->conf.name.db) != 0)
			r = ERR_PROTOCOL;
		else
			talk_begin(s, f->id, sub);
	}
	free(sub);
	return r;
}

static const struct msg_rule	 api_rules[] = {
	{ MSG_SEND_NOTED, 1, 8, 8, send_on_noted },
	{ 0, 0, 0, 0, NULL }
};

/*
 * What the target says is checked, and bad only for its subscription: api
 * passes it on without looking.
 */
static int
on_api_message(struct peer *p, const struct frame *f, void *arg)
{
	struct send	*s = arg;
	int		 r;

	s->api_messages++;
	if (s->asleep)
		return 0;
	if (f->type == MSG_SEND_NOTED)
		return msg_dispatch(api_rules, 1, s, p, f);
	if (f->type < 0x0800 || f->type > 0x08ff)
		return ERR_PROTOCOL;
	send_active(s);
	if (f->type == MSG_CH_SUBSCRIBE)
		r = on_subscribe(s, f);
	else if (s->talk == NULL || f->id != s->talk->id)
		return 0;	/* of the past */
	else
		r = talk_message(s->talk, f);
	if (r != 0) {
		log_warning("%s of the target: %s", msg_name(f->type),
		    err_text(r));
		talk_close(s, "%s: %s", msg_name(f->type), err_text(r));
	}
	return 0;
}

static void
api_gone(struct send *s)
{
	talk_forget(s, "the connection to the process api is lost");
	send_note_all(s);
}

static void
on_api_lost(struct peer *p, int why, void *arg)
{
	struct send	*s = arg;

	if (s->api == p) {
		s->api = NULL;
		api_gone(s);
	}
	peer_free(&p);
}

static void
on_api_room(struct peer *p, void *arg)
{
	struct send	*s = arg;
	struct talk	*t = s->talk;

	if (t == NULL)
		return;
	deliver_more(t);
	if (s->talk == t)
		bulk_pump(t);
}

static const struct peer_ops	 api_ops = {
	.message = on_api_message, .lost = on_api_lost, .room = on_api_room
};

static void
api_connect(struct send *s, const char *name, int fd)
{
	struct buf	 b = BUF_INIT;

	if (s->api != NULL) {
		peer_free(&s->api);
		api_gone(s);
	}
	s->api_messages = 0;
	send_active(s);
	s->api = peer_new(fd, name, &api_ops, s);
	peer_set_limits(s->api, CHANNEL_MESSAGE_MAX, API_LOW_BYTES,
	    API_HIGH_BYTES);
	if (peer_attach(s->api, s->loop) != 0) {
		log_warning("%s: cannot be watched", name);
		peer_free(&s->api);
		return;
	}
	put_str(&b, s->conf.target);
	channel_name_put(&b, &s->conf.name);
	(void)peer_send_buf(s->api, MSG_SEND_HELLO, 0, &b);
	buf_free(&b);
}

/* ---- life -------------------------------------------------------------- */

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct send	*s = arg;

	if (worker_is_stopping(s->w) || s->asleep)
		close(fd);
	else if (strcmp(name, API_NAME) == 0)
		api_connect(s, name, fd);
	else if (strncmp(name, TAIL_PREFIX, sizeof(TAIL_PREFIX) - 1) == 0)
		send_tail_connect(s, name, fd);
	else
		close(fd);
}

/*
 * What has come is appended, what was appended is made durable and its end is
 * marked, so that the next process goes on in this epoch.
 */
static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct send	*s = arg;

	send_queue_flush(s);
	if (!s->asleep)
		talk_close(s, "the process send is stopped");
	send_step(s, SHARD_EV_CANCEL, "stopped");
	send_queue_sync(s);
	if (s->tail != NULL)
		(void)peer_flush(s->tail, FLUSH_MS);
	send_tail_free(s);
	if (s->api != NULL)
		(void)peer_flush(s->api, FLUSH_MS);
	send_queue_close(s);
	worker_done(s->w, PROC_EXIT_OK, NULL);
}

static void
on_dump(void *arg)
{
	struct send	*s = arg;
	char		 text[POS_TEXT_SIZE];

	log_notice("step %s, received %s, %s, %s, noted %" PRIu64 " of %"
	    PRIu64, shard_step_name(s->shard.step), pos_text(&s->received,
	    text), s->joined ? "joined" : s->tail != NULL ? "not joined" :
	    "without a tail", s->talk == NULL ? "nobody listens" :
	    s->talk->behind ? "the target is behind" : "the target is close",
	    s->noted, s->want);
}

static void
on_control(void *arg, struct peer *control)
{
	struct send	*s = arg;

	s->asks = false;
}

static const struct msg_rule	 control_rules[] = {
	{ MSG_WORKER_LEAVE_ANS, 1, 1, 1, send_on_leave },
	{ MSG_WORKER_QUOTA, 1, 1, 1, send_on_quota },
	{ 0, 0, 0, 0, NULL }
};

static const struct worker_ops	 ops = {
	.rules = control_rules, .control = on_control, .connect = on_connect,
	.stop = on_stop, .dump = on_dump
};

static void
name_queue(struct send *s)
{
	struct queue_channel	 c;
	char			 name[QUEUE_NAME_BYTES];

	memset(&c, 0, sizeof(c));
	snprintf(c.database, sizeof(c.database), "%s", s->conf.name.db);
	c.cid = s->conf.name.cid;
	c.shard = s->conf.name.shard;
	s->queue_dir = xasprintf("%s/queues/%s/%s",
	    worker_get_conf(s->w)->data_dir, s->conf.target,
	    queue_channel_name(&c, name));
	snprintf(s->cid, sizeof(s->cid), "%" PRIu64, s->conf.name.cid);
}

static void
start(struct send *s)
{
	s->loop = worker_loop(s->w);
	name_queue(s);
	shard_init(&s->shard, SHARD_SEND);
	s->shard.long_ms = send_limits.long_ms;
	s->shard.changed = on_step;
	s->shard.arg = s;
	s->deadline = loop_timer_new(s->loop, on_deadline, s);
	s->status_timer = loop_timer_new(s->loop, on_status_timer, s);
	send_queue_start(s);
	send_idle_start(s);
	send_step(s, SHARD_EV_START, "started");
	/* A queue that cannot be opened is tried again with each
	 * subscription, and said in the status. */
	if (send_queue_open(s) != 0)
		log_error("%s", s->error);
}

int
send_main(struct member *m, const struct worker_conf *conf)
{
	struct send	*s = xcalloc(1, sizeof(*s));
	struct rbuf	 b = { m->config, m->config_len };

	/* Fixed, or the first large block that is freed raises it.  Pieces come
	 * and go all the time: the timer trims, not each free(). */
	(void)mallopt(M_MMAP_THRESHOLD, 1024 * 1024);
	(void)mallopt(M_TRIM_THRESHOLD, 1024 * 1024);
	s->w = worker_new(m, conf, &ops, s);
	if (send_conf_get(&b, &s->conf) != 0)
		worker_done(s->w, PROC_EXIT_PROTOCOL, "its configuration "
		    "cannot be read");
	else
		start(s);
	return worker_run(s->w);
}
