/* control_space.c - does the data directory have room?  See control_space.h */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_incoming.h"
#include "master/control_outgoing.h"
#include "master/control_space.h"
#include "queue/room.h"

#define LOOK_MS		1000

struct control_space {
	struct control	*c;
	struct room	 room;
	enum room_state	 state;
	int		 err;		/* it cannot be looked at */
	struct loop_timer *timer;
};

/* What follows for whom. */
static void
say_consequences(const struct control_space *s, struct buf *b)
{
	struct control_queues	 q;

	control_outgoing_queues(s->c, &q);
	if (q.targets == 0)
		buf_append_str(b, "queues, and the positions of shards, need "
		    "it");
	else if (s->state == ROOM_FULL)
		buf_append_str(b, "nothing more is queued for targets, their "
		    "part of the log stays at the DB-servers (see "
		    "--wal.max-hold-bytes)");
	else
		buf_append_str(b, "shards whose target is behind wait");
}

/* Not to the byte, which changes all the time. */
static const char *
about(uint64_t bytes, char text[STR_NUMBER_SIZE])
{
	uint64_t	 unit = bytes < (uint64_t)10 << 20 ? (uint64_t)1 << 10 :
			    bytes < (uint64_t)10 << 30 ? (uint64_t)1 << 20 :
			    (uint64_t)1 << 30;

	return str_format_bytes(bytes - bytes % unit, text);
}

/* What is wrong, and what to do; empty when nothing is. */
static void
say_disk(const struct control_space *s, struct buf *b)
{
	const struct room	*r = &s->room;
	uint64_t		 need = r->reserve;
	char			 have[STR_NUMBER_SIZE], all[STR_NUMBER_SIZE],
				 want[STR_NUMBER_SIZE];

	if (s->state == ROOM_ENOUGH)
		return;
	if (s->state == ROOM_SHORT)
		need += need / 4;
	buf_printf(b, "The disk of %s is %s: %s of %s are free. Until %s are "
	    "free ", s->c->conf->data_dir, s->state == ROOM_FULL ? "full" :
	    "almost full", about(r->free, have), about(r->total, all),
	    about(need, want));
	say_consequences(s, b);
	buf_append_str(b, ". Make room there; then it goes on by itself.");
}

static void
say_quota(const struct control_queues *q, struct buf *b)
{
	char	 have[STR_NUMBER_SIZE], quota[STR_NUMBER_SIZE];

	if (!q->over)
		return;
	if (b->len != 0)
		buf_append_str(b, " ");
	buf_printf(b, "All queues together have %s, and --mq.quota is %s: the "
	    "%zu largest wait until targets have taken what is queued. Look "
	    "whether a target is away, or raise the quota.",
	    about(q->bytes, have), str_format_bytes(q->quota, quota),
	    q->stopped);
}

static void
on_timer(void *arg)
{
	struct control_space	*s = arg;
	enum room_state		 before = s->state;
	struct buf		 b = BUF_INIT;
	int			 err;

	err = room_look(s->c->conf->data_dir, &s->room);
	if (err != 0 && err != s->err)
		log_warning("data directory %s: %s", s->c->conf->data_dir,
		    err_text(err));
	s->err = err;
	if (err != 0)
		return;
	s->state = room_state(s->state, &s->room);
	if (s->state == before)
		return;
	if (s->state == ROOM_ENOUGH)
		log_notice("there is enough room on the disk of %s again",
		    s->c->conf->data_dir);
	else {
		say_disk(s, &b);
		log_warning("%s", buf_cstr(&b));
		buf_free(&b);
	}
}

struct json_object *
control_space_info(const struct control *c)
{
	const struct control_space	*s = c->space;
	struct json_object		*o = json_object_new_object();
	struct control_queues		 q;
	struct buf			 b = BUF_INIT;

	control_outgoing_queues(c, &q);
	say_disk(s, &b);
	say_quota(&q, &b);
	json_set_string(o, "state", room_state_name(s->state));
	if (b.len != 0)
		json_set_string(o, "message", buf_cstr(&b));
	buf_free(&b);
	json_set_string(o, "path", c->conf->data_dir);
	json_set_uint(o, "total_bytes", s->room.total);
	json_set_uint(o, "free_bytes", s->room.free);
	json_set_uint(o, "reserve_bytes", s->room.reserve);
	json_set_uint(o, "queue_bytes", q.bytes);
	json_set_uint(o, "queue_quota_bytes", q.quota);
	json_set_uint(o, "queues_stopped", q.stopped);
	return o;
}

void
control_space_init(struct control *c)
{
	struct control_space	*s = xcalloc(1, sizeof(*s));

	c->space = s;
	s->c = c;
	s->timer = loop_timer_new(c->loop, on_timer, s);
	on_timer(s);
	loop_timer_start_periodic(s->timer, LOOK_MS);
}
