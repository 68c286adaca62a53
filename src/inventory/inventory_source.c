/*
 * inventory_source.c - reads the structure whenever the Plan has changed, and
 * publishes it; see inventory_priv.h
 *
 * A target drops what it has seen missing in two reads at least ten seconds
 * apart (R19), so each change is read once more when that time has passed.  It
 * goes on now and then without a change, because a target that was restarted
 * has forgotten what it had seen.  A read is one request to the agency.
 */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "base/log.h"
#include "base/random.h"
#include "ev/backoff.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "inventory/inventory_priv.h"
#include "json/get.h"

#define CONFIRM_MS	(PLAN_CONFIRM_MS + 500)
/* Without a change: so often, but not more bytes than that. */
#define AGAIN_MIN_MS	20000
#define AGAIN_MAX_MS	(10 * 60 * 1000)
#define AGAIN_BYTES_S	16384
#define WATCH_MS	(60 * 1000)

struct inv_source {
	struct arango			*a;
	struct arango_agency		*ag;
	struct arango_cancel		*cancel;
	const struct inv_source_ops	*ops;
	void				*arg;
	struct loop			*loop;
	struct agency_watch		 watch;
	char				 reader[17];
	struct buf			 text;		/* last published */
	uint64_t			 version;
	uint64_t			 again_ms;	/* read again then */
	uint64_t			 took_ms;	/* the last read */
	size_t				 databases, collections;
	struct backoff			 backoff;
	struct err_msg			 error;
	bool				 complained;
};

static void
say_status(struct inv_source *s)
{
	struct json_object	*o = json_object_new_object();

	json_set_string(o, "state", s->text.len != 0 ? "running" : "reading");
	if (*s->error.text != '\0')
		json_set_string(o, "error", s->error.text);
	json_set_uint(o, "plan", s->version);
	json_set_uint(o, "databases", s->databases);
	json_set_uint(o, "collections", s->collections);
	json_set_uint(o, "bytes", s->text.len);
	s->ops->status(s->arg, o);
}

static void
make_text(struct inv_source *s, const struct inv_view *v, uint64_t read_ms)
{
	struct json_object	*o = structure_to_json(v->st), *x;
	size_t			 i;

	x = json_object_new_object();
	json_set_string(x, "reader", s->reader);
	json_set_uint(x, "ms", read_ms);
	json_set(x, "views", json_object_get(v->views));
	json_set(o, "x", x);
	buf_reset(&s->text);
	json_append(&s->text, o);
	json_object_put(o);
	s->version = v->st->version;
	s->databases = v->st->ndbs;
	s->collections = 0;
	for (i = 0; i < v->st->ndbs; i++)
		s->collections += v->st->dbs[i].ncolls;
}

void
inv_source_repeat(struct inv_source *s)
{
	if (s->text.len != 0)
		s->ops->publish(s->arg, s->version, (char *)s->text.data,
		    s->text.len);
}

static int
read_and_publish(struct inv_source *s, bool changed)
{
	uint64_t		 read_ms = loop_now_ms(s->loop);
	struct inv_view		*v;
	uint64_t		 before = s->version;
	int			 r;

	if ((r = inv_view_read(s->ag, &v, &s->error)) != 0)
		return r;
	make_text(s, v, read_ms);
	inv_view_free(&v);
	s->took_ms = loop_now_ms(s->loop) - read_ms;
	if (s->version != before) {
		changed = true;
		log_info("version %llu of the Plan: %zu databases, %zu "
		    "collections", (unsigned long long)s->version,
		    s->databases, s->collections);
	}
	s->again_ms = loop_now_ms(s->loop) + (changed ? CONFIRM_MS :
	    MIN(MAX((uint64_t)AGAIN_MIN_MS, s->text.len / AGAIN_BYTES_S *
	    1000), (uint64_t)AGAIN_MAX_MS));
	inv_source_repeat(s);
	return 0;
}

/* Until the Plan has changed, or it is time to read it all the same. */
static int
wait_for_change(struct inv_source *s)
{
	uint64_t	 now = loop_now_ms(s->loop);
	int		 r;

	if (s->again_ms != 0 && now >= s->again_ms)
		return 0;
	r = arango_agency_wait(s->ag, &s->watch, s->again_ms == 0 ? WATCH_MS :
	    MIN((uint64_t)WATCH_MS, s->again_ms - now), &s->error);
	/* A large Plan that changes all the time is not read all the time. */
	if (r == 1)
		(void)arango_sleep(s->cancel, MIN(MAX((uint64_t)INV_GATHER_MS,
		    2 * s->took_ms), (uint64_t)2000));
	return r;
}

static void
source_fiber(void *arg)
{
	struct inv_source	*s = arg;
	int			 r;

	while (!s->cancel->cancelled) {
		r = wait_for_change(s);
		if (r == 1 || (r == 0 && loop_now_ms(s->loop) >= s->again_ms))
			r = read_and_publish(s, r == 1);
		if (s->cancel->cancelled)
			return;
		if (r >= 0) {
			if (s->complained)
				log_notice("the agency answers again");
			s->complained = false;
			*s->error.text = '\0';
			backoff_reset(&s->backoff);
			say_status(s);
			continue;
		}
		if (!s->complained)
			log_warning("%s; the last known structure stays",
			    s->error.text);
		s->complained = true;
		say_status(s);
		/* what happened meanwhile is not known */
		s->watch.next = 0;
		(void)arango_sleep(s->cancel, backoff_failed(&s->backoff,
		    loop_now_ms(s->loop)));
	}
}

struct inv_source *
inv_source_new(struct arango *a, struct arango_cancel *cancel,
    const struct inv_source_ops *ops, void *arg)
{
	static const char *const	 watched[] = { "/arango/Plan", NULL };
	struct inv_source		*s = xcalloc(1, sizeof(*s));

	s->a = a;
	s->ag = arango_agency_new(a, cancel);
	arango_agency_set_patience(s->ag, INV_AGENCY_RETRY_MS);
	s->cancel = cancel;
	s->ops = ops;
	s->arg = arg;
	s->loop = arango_loop(a);
	s->watch = (struct agency_watch)AGENCY_WATCH_INIT(watched);
	s->backoff = (struct backoff)BACKOFF_INIT(500,
	    INV_AGENCY_RETRY_MS * 3 / 4);
	rand_hex(s->reader, sizeof(s->reader) - 1);
	say_status(s);
	fiber_spawn(s->loop, source_fiber, s);
	return s;
}
