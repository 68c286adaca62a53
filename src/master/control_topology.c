/* control_topology.c - see control_topology.h */
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "master/control_topology.h"

#define RETRY_MS	1000
#define USERS_MAX	8

/* One period of leading.  Its fibers end with it, and it with the last one. */
struct watch_run {
	struct control_watch *w;
	struct arango_agency *agency;	/* of the fiber that waits for changes */
	struct arango_agency *reader;
	struct arango_cancel cancel;
	struct fiber_cond	 wake;
	bool			 dirty;
	unsigned		 fibers;
};

struct control_watch {
	struct control	*c;
	struct arango_topology *now;
	struct watch_run *run;		/* NULL: we do not lead */
	control_topology_fn *users[USERS_MAX];
	size_t		 nusers;
	int		 trouble;
};

static const char *const	 prefixes[] = {
	"/arango/Plan", "/arango/Current", "/arango/Readonly", NULL
};

static struct control_watch *
watch_of(struct control *c)
{
	if (c->watch == NULL) {
		c->watch = xcalloc(1, sizeof(*c->watch));
		c->watch->c = c;
	}
	return c->watch;
}

static void
run_leave(struct watch_run *run)
{
	if (--run->fibers > 0)
		return;
	arango_agency_free(&run->agency);
	arango_agency_free(&run->reader);
	free(run);
}

static void
mark_dirty(struct watch_run *run)
{
	run->dirty = true;
	fiber_cond_broadcast(&run->wake);
}

/* Waits for changes and says so, nothing else: a read must not miss one. */
static void
wait_fiber(void *arg)
{
	struct watch_run	*run = arg;
	struct agency_watch	 watch = AGENCY_WATCH_INIT(prefixes);
	struct err_msg		 m;
	int			 r;

	while (!run->cancel.cancelled) {
		r = arango_agency_wait(run->agency, &watch,
		    CONTROL_TOPOLOGY_MAX_MS, &m);
		if (r > 0)
			mark_dirty(run);
		else if (r < 0 && arango_sleep(&run->cancel, RETRY_MS) != 0)
			break;
	}
	run_leave(run);
}

static void
publish(struct control_watch *w, struct arango_topology *t)
{
	struct arango_topology	*held = arango_topology_hold(t);
	size_t			 i;

	arango_topology_release(&w->now);
	w->now = t;
	for (i = 0; i < w->nusers; i++)
		w->users[i](w->c, held);
	arango_topology_release(&held);
}

static void
read_once(struct watch_run *run)
{
	struct control_watch	*w = run->w;
	struct arango_topology	*t = NULL;
	struct err_msg		 m = { "" };
	int			 r;

	run->dirty = false;
	r = arango_topology_read(run->reader, &t, &m);
	if (w->run != run) {
		arango_topology_release(&t);
		return;
	}
	if (r != 0 && r != w->trouble)
		log_warning("the structure of the cluster cannot be read: %s; "
		    "trying again", m.text);
	else if (r == 0 && w->trouble != 0)
		log_notice("the structure of the cluster is known again");
	w->trouble = r;
	if (r == 0)
		publish(w, t);
	else
		run->dirty = true;
}

static void
read_fiber(void *arg)
{
	struct watch_run	*run = arg;
	struct loop		*loop = run->w->c->loop;
	uint64_t		 next, began, took;

	while (!run->cancel.cancelled) {
		began = loop_now_ms(loop);
		read_once(run);
		next = loop_now_ms(loop) + CONTROL_TOPOLOGY_MAX_MS;
		/* A large one is not read all the time. */
		took = loop_now_ms(loop) - began;
		if (run->dirty) {
			if (arango_sleep(&run->cancel, RETRY_MS) != 0)
				break;
			continue;
		}
		while (!run->cancel.cancelled && !run->dirty &&
		    fiber_cond_wait_until(&run->wake, next) == 0)
			;
		(void)arango_sleep(&run->cancel, CONTROL_TOPOLOGY_GATHER_MS +
		    2 * took);
	}
	run_leave(run);
}

void
control_topology_on(struct control *c, control_topology_fn *fn)
{
	struct control_watch	*w = watch_of(c);
	size_t			 i;

	for (i = 0; i < w->nusers; i++)
		if (w->users[i] == fn)
			return;
	bug_unless(w->nusers < USERS_MAX);
	w->users[w->nusers++] = fn;
	if (w->now != NULL)
		control_topology_look(c);
}

struct arango_topology *
control_topology(const struct control *c)
{
	return c->watch == NULL ? NULL : c->watch->now;
}

void
control_topology_look(struct control *c)
{
	if (c->watch != NULL && c->watch->run != NULL)
		mark_dirty(c->watch->run);
}

void
control_topology_begin(struct control *c)
{
	struct control_watch	*w = watch_of(c);
	struct watch_run	*run = xcalloc(1, sizeof(*run));

	run->w = w;
	run->agency = arango_agency_new(c->cluster, &run->cancel);
	run->reader = arango_agency_new(c->cluster, &run->cancel);
	run->fibers = 2;
	w->run = run;
	w->trouble = 0;
	fiber_spawn(c->loop, wait_fiber, run);
	fiber_spawn(c->loop, read_fiber, run);
}

void
control_topology_end(struct control *c)
{
	struct control_watch	*w = watch_of(c);

	if (w->run == NULL)
		return;
	arango_cancel(&w->run->cancel);
	fiber_cond_broadcast(&w->run->wake);
	w->run = NULL;
	arango_topology_release(&w->now);
}
