/*
 * control_incoming_guard.c - while something comes in, the own cluster is
 * read-only for applications, and its DB-servers remove nothing by themselves
 * (R18).
 *
 * The switch of TTL is in a server's memory: it is set again whenever a server
 * has another reboot id than when it was set last.
 */
#include <string.h>

#include "arango/structure.h"
#include "arango/topology.h"
#include "base/log.h"
#include "ev/loop.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"
#include "master/control_topology.h"

#define LOOK_MS		500
#define MODE_EVERY_MS	5000
#define TTL_EVERY_MS	10000

struct guard {
	struct control_incoming	*in;
	struct map		 switched;	/* server -> reboot id + 1 */
	struct map		 told;		/* ... that could not be told */
	uint64_t		 ttl_ms, ttl_version;
	bool			 was_readonly;	/* we have seen it so */
	uint64_t		 mode_ms;	/* last looked; 0: never */
	char			 trouble[512];	/* as last logged */
};

/* Who was stopped for long may not know yet that another one leads, and has
 * ended the synchronization meanwhile. */
static bool
is_on(const struct control_incoming *in)
{
	return !in->ended && in->active && control_is_leader(in->c) &&
	    json_at(in->x, "stop") == NULL;
}

static void
note(struct guard *g, const char *text)
{
	if (strcmp(g->trouble, text) != 0 && *text != '\0')
		log_error("%s; trying again", text);
	memcpy(g->trouble, text, strlen(text) + 1);
}

/* Somebody has written to it while we thought that nobody could. */
static void
was_open(struct control_incoming *in)
{
	struct incoming_pair	*p;
	struct map_iter		 it;
	uint32_t		 i;

	log_warning("the own cluster was made writable while it is "
	    "synchronized; it is read-only again, and all shards are "
	    "compared");
	INCOMING_EACH_PAIR(in, it, p) {
		for (i = 0; i < p->nshards; i++)
			(void)incoming_repair(&p->shards[i],
			    "the target was writable for a while");
	}
}

/* Whoever leads next has to know that it was read-only from now on. */
static void
remember(struct control_incoming *in)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct err_msg		 m = { "" };

	if (!is_on(in) || json_bool_or(in->x, "readOnly", false))
		return;
	agency_trx_set_text(&t, INCOMING_X "/readOnly", "true", 0);
	if (incoming_write(in, &t, &m) == 0 && is_on(in))
		json_set_bool(in->x, "readOnly", true);
	agency_trx_free(&t);
}

static void
keep_mode(struct guard *g)
{
	struct control_incoming	*in = g->in;
	uint64_t		 now = loop_now_ms(in->c->loop);
	struct err_msg		 m = { "" };
	bool			 readonly;
	int			 r;

	if (g->mode_ms != 0 && now - g->mode_ms < MODE_EVERY_MS)
		return;
	r = arango_mode_get(in->c->cluster, NULL, &readonly, &m);
	if (r == 0 && !readonly && is_on(in) &&
	    (r = arango_mode_set(in->c->cluster, true, &m)) == 0) {
		if (g->was_readonly && is_on(in))
			was_open(in);
		else
			log_notice("the own cluster is read-only for "
			    "applications now");
	}
	note(g, r == 0 ? "" : m.text);
	if (r != 0)
		return;
	g->was_readonly = true;
	remember(in);
	g->mode_ms = loop_now_ms(in->c->loop);
}

static void
switch_off(struct guard *g, const struct topo_server *ts)
{
	struct control_incoming	*in = g->in;
	struct arango_server	*s;
	struct err_msg		 m = { "" };

	s = arango_server_get(in->c->cluster, ts->id);
	if (s == NULL)
		return;
	if (arango_ttl_set(in->c->cluster, s, false, &m) == 0) {
		map_put(&g->switched, ts->id,
		    (void *)(uintptr_t)(ts->reboot_id + 1));
		(void)map_del(&g->told, ts->id);
		log_debug("%s: TTL is off", ts->id);
	} else if (is_on(in) && !map_has(&g->told, ts->id)) {
		map_put(&g->told, ts->id, g);
		log_warning("%s: TTL cannot be switched off, documents that "
		    "the source keeps may be removed here: %s; trying again",
		    ts->id, m.text);
	}
}

static void
keep_ttl(struct guard *g)
{
	struct arango_topology	*t = control_topology(g->in->c);
	uint64_t		 now = loop_now_ms(g->in->c->loop);
	struct topo_server	*s;
	size_t			 i;
	bool			 changed;

	if (t == NULL)
		return;
	changed = t->current_version != g->ttl_version;
	if (g->ttl_ms != 0 && !changed && now - g->ttl_ms < TTL_EVERY_MS)
		return;
	g->ttl_ms = now;
	g->ttl_version = t->current_version;
	arango_topology_hold(t);
	for (i = 0; i < t->nservers && is_on(g->in); i++) {
		s = &t->servers[i];
		if (s->role == ARANGO_DBSERVER && s->reboot_id != 0 &&
		    s->health != TOPO_HEALTH_FAILED &&
		    (uintptr_t)map_get(&g->switched, s->id) !=
		    (uintptr_t)(s->reboot_id + 1))
			switch_off(g, s);
	}
	arango_topology_release(&t);
}

void
incoming_guard(void *arg)
{
	struct guard	 g = { .in = arg };

	while (!g.in->ended) {
		if (is_on(g.in)) {
			keep_mode(&g);
			keep_ttl(&g);
		} else if (!g.in->active) {
			map_free(&g.switched, NULL);
			map_free(&g.told, NULL);
			g.was_readonly = false;
			g.mode_ms = g.ttl_ms = 0;
			g.trouble[0] = '\0';
		}
		if (!g.in->ended)
			(void)arango_sleep(&g.in->cancel, LOOK_MS);
	}
	map_free(&g.switched, NULL);
	map_free(&g.told, NULL);
	incoming_release(&g.in);
}

/* TTL first: nothing that it removes may be missed while nobody can write. */
int
incoming_unguard(struct control_incoming *in, bool readonly, struct err_msg *m)
{
	struct arango_topology	*t = control_topology(in->c);
	struct arango_server	*s;
	struct err_msg		 em = { "" };
	size_t			 i;
	int			 r;

	if (t != NULL)
		arango_topology_hold(t);
	for (i = 0; t != NULL && i < t->nservers; i++) {
		if (t->servers[i].role != ARANGO_DBSERVER ||
		    t->servers[i].health == TOPO_HEALTH_FAILED ||
		    (s = arango_server_get(in->c->cluster,
		    t->servers[i].id)) == NULL)
			continue;
		/* A server that does not answer has it on after its restart. */
		if (arango_ttl_set(in->c->cluster, s, true, &em) != 0)
			log_warning("%s: TTL may be off until it is "
			    "restarted: %s", s->id, em.text);
	}
	arango_topology_release(&t);
	if ((r = arango_mode_set(in->c->cluster, readonly, m)) == 0)
		log_notice("the own cluster is %s", readonly ?
		    "read-only, as was asked for" : "writable again");
	return r;
}
