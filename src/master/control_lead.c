/*
 * control_lead.c - what lives only while we lead.
 *
 * A lease that was taken over from another master may still have children of
 * that one at work for as long as their clocks and ours differ: tokens end
 * with the lease that they were made under, and that lease was counted from
 * before the agency was asked (R23).  Who finds its own id was killed and goes
 * on at once: the locks of the data directory say that nobody is left.
 */
#include <string.h>

#include "base/log.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control.h"
#include "master/control_incoming.h"
#include "master/control_outgoing.h"
#include "master/control_topology.h"
#include "master/control_workers.h"

/* By how much the clocks of a cluster's servers may differ. */
#define SKEW_MS		5000

struct part {
	void	(*begin)(struct control *c);
	void	(*end)(struct control *c);
};

static const struct part	 parts[] = {
	{ control_workers_begin, control_workers_end },
	{ control_topology_begin, control_topology_end },
	{ control_outgoing_begin, control_outgoing_end },
	{ control_incoming_begin, control_incoming_end }
};

bool
control_lead_is_on(const struct control *c)
{
	return c->parts_on;
}

enum last {
	LAST_NOBODY,		/* or somebody who said that it left */
	LAST_OTHER,
	LAST_WE
};

/* Who led last, as the agency remembers. */
static enum last
last_leader(const struct control *c)
{
	struct json_object	*o = control_state_at(c, "x", "lastLeader",
				    NULL);

	if (o == NULL || json_bool_or(o, "left", false))
		return LAST_NOBODY;
	return strcmp(json_string_or(o, "id", ""), c->id) == 0 ? LAST_WE :
	    LAST_OTHER;
}

/* What we know of our work is from before that. */
static bool
another_led(const struct control *c)
{
	struct json_object	*o = control_state_at(c, "x", "lastLeader",
				    NULL);

	return o != NULL && strcmp(json_string_or(o, "id", ""), c->id) != 0;
}

int
control_lead_note(struct control *c, struct arango_agency *agency, bool left,
    struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*o = json_object_new_object();
	int			 r;

	/* Whoever led before us has not said so, then. */
	if (left && last_leader(c) != LAST_WE) {
		json_object_put(o);
		return 0;
	}
	json_set_string(o, "id", c->id);
	if (left)
		json_set_bool(o, "left", true);
	agency_trx_set(&t, CONTROL_ROOT "/x/lastLeader", o, 0);
	r = arango_agency_write(agency, &t, NULL, m);
	agency_trx_free(&t);
	json_object_put(o);
	return r;
}

/* We led all along, for all that is known: an end of ours is not to be
 * mistaken for nothing having been there. */
static void
claim(struct control *c)
{
	struct err_msg	 m = { "" };

	if (control_lead_note(c, c->agency, false, &m) == 0)
		control_look(c);
}

static void
begin(struct control *c)
{
	size_t	 i;

	c->parts_on = true;
	log_info("tasks begin");
	for (i = 0; i < NITEMS(parts); i++)
		parts[i].begin(c);
	control_outgoing_api(c);
}

static void
end(struct control *c)
{
	size_t	 i;

	c->parts_on = false;
	log_notice("this master does not lead any more; its tasks end");
	for (i = NITEMS(parts); i-- > 0;)
		parts[i].end(c);
	control_outgoing_api(c);
}

void
control_lead_check(struct control *c)
{
	if (c->parts_on && (!control_is_leader(c) || c->stopping))
		end(c);
}

void
control_lead_go_on(struct control *c)
{
	uint64_t	 now = loop_now_ms(c->loop);

	control_lead_check(c);
	if (!control_is_leader(c) || c->stopping)
		c->lead_from_ms = 0;
	if (c->parts_on || !control_is_leader(c) || c->stopping ||
	    c->state == NULL)
		return;
	if (c->lead_from_ms == 0) {
		c->lead_from_ms = now;
		if (last_leader(c) == LAST_OTHER) {
			log_notice("another master led before; waiting until "
			    "its processes cannot write any more");
			c->lead_from_ms += SKEW_MS;
		}
	}
	if (now < c->lead_from_ms)
		return;
	if (last_leader(c) != LAST_WE) {
		/* Before we claim it, or a crash between both hides it. */
		if (another_led(c))
			control_incoming_distrust(c, "another master has led "
			    "since this one did");
		claim(c);
	}
	if (last_leader(c) == LAST_WE && control_is_leader(c) && !c->stopping)
		begin(c);
}
