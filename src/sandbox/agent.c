/*
 * agent.c - the agent: one process that is the whole agency.  Start, log and
 * snapshots; its HTTP interface is in agent_api.c, what it does for the
 * cluster by itself in agent_supervision.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "json/get.h"
#include "sandbox/agent_priv.h"
#include "sandbox/agent_supervision.h"

#define EXPIRY_PERIOD_MS	200
/* arangod's supervision takes this many ids for itself when it starts. */
#define SUPERVISION_IDS		10000

/* The key space of a cluster whose first server is about to come, as arangod
 * writes it, but for databases: the first coordinator makes _system. */
static const char initial_tree[] =
    "{\"Agency\":{\"Definition\":1},"
    "\"Current\":{\"AsyncReplication\":{},\"Collections\":{},\"Version\":1,"
	"\"ShardsCopied\":{},\"NewServers\":{},\"Coordinators\":{},"
	"\"Lock\":\"UNLOCKED\",\"DBServers\":{},\"Singles\":{},"
	"\"ServersRegistered\":{\"Version\":1},\"ServersKnown\":{},"
	"\"Databases\":{}},"
    "\"InitDone\":true,"
    "\"Plan\":{\"AsyncReplication\":{},\"Coordinators\":{},\"Databases\":{},"
	"\"Lock\":\"UNLOCKED\",\"DBServers\":{},\"Singles\":{},\"Version\":1,"
	"\"Collections\":{},\"Views\":{},\"Analyzers\":{}},"
    "\"Sync\":{\"LatestID\":1,\"Problems\":{},\"UserVersion\":1,"
	"\"ServerStates\":{},\"HeartbeatIntervalMs\":1000},"
    "\"Supervision\":{\"Health\":{},\"Shards\":{},\"DBServers\":{}},"
    "\"Target\":{\"NumberOfCoordinators\":null,\"NumberOfDBServers\":null,"
	"\"CleanedServers\":[],\"ToBeCleanedServers\":[],"
	"\"FailedServers\":{},\"Lock\":\"UNLOCKED\",\"Failed\":{},"
	"\"Finished\":{},\"Pending\":{},\"ToDo\":{},"
	"\"MapUniqueToShortID\":{},\"Version\":1}}";

static const struct sb_route *const agent_tables[] = { agent_routes, NULL };
static const struct sb_role agent_role = {
	.name = "AGENT",
	.tables = agent_tables,
};

/* ---- log ---------------------------------------------------------------- */

/* A log that cannot be written ends the process: what was applied in memory
 * is not what is on the disk, and a new start reads the disk. */
static void
flush(void *arg)
{
	struct agent	*a = arg;
	struct err_msg	 m;
	uint64_t	 last = agency_store_last_index(a->store);

	if (agent_log_write(a->log, &m) != 0)
		sb_child_storage_failed(a->child, m.text);
	a->committed = last;
	fiber_cond_broadcast(&a->committing);
	if (last >= a->snapshot + AGENT_COMPACT_EVERY) {
		if (agent_log_compact(a->log, a->store, a->term, &m) != 0)
			sb_child_storage_failed(a->child, m.text);
		a->snapshot = last;
	}
}

static uint64_t
append(struct agent *a, struct json_object *ops, const char *client_id,
    uint64_t now_ms)
{
	uint64_t	index;

	index = agency_store_append(a->store, ops, client_id, a->term, now_ms);
	agent_log_add(a->log, agency_store_entry(a->store, index));
	loop_task_post_late(a->loop, &a->flush);
	return index;
}

int
agent_transact(struct agent *a, struct json_object *ops,
    struct json_object *pre, const char *client_id,
    struct json_object **failed, uint64_t *index)
{
	uint64_t	now_ms = clock_wall_ms();
	int		r;

	if ((r = agency_store_check(a->store, pre, failed)) != 0 ||
	    (r = agency_store_apply(a->store, ops, now_ms)) != 0)
		return r;
	*index = append(a, ops, client_id, now_ms);
	return 0;
}

void
agent_wait(struct agent *a, uint64_t index)
{
	while (a->committed < index)
		fiber_cond_wait(&a->committing);
}

void
agent_expire(struct agent *a)
{
	struct json_object	*ops;
	uint64_t		 now_ms = clock_wall_ms(), index;

	if ((ops = agency_store_expired(a->transient, now_ms)) != NULL) {
		(void)agency_store_apply(a->transient, ops, now_ms);
		json_object_put(ops);
	}
	/* Through the log, so that whoever polls hears of it. */
	if ((ops = agency_store_expired(a->store, now_ms)) != NULL) {
		(void)agent_transact(a, ops, NULL, NULL, NULL, &index);
		json_object_put(ops);
	}
}

static void
on_expiry(void *arg)
{
	agent_expire(arg);
}

/* ---- supervision -------------------------------------------------------- */

static int
supervision_transact(void *arg, struct json_object *ops,
    struct json_object *pre)
{
	uint64_t	index;

	return agent_transact(arg, ops, pre, NULL, NULL, &index);
}

static void
on_supervision(void *arg)
{
	struct agent	*a = arg;

	agent_expire(a);
	supervision_step(a->supervision, loop_now_ms(a->loop),
	    clock_wall_ms());
}

static void
timers_start(struct agent *a)
{
	const struct supervision_io	io = { a->store, a->transient,
					    supervision_transact, a };

	a->supervision = supervision_new(&io);
	a->expiry = loop_timer_new(a->loop, on_expiry, a);
	loop_timer_start_periodic(a->expiry, EXPIRY_PERIOD_MS);
	a->supervising = loop_timer_new(a->loop, on_supervision, a);
	loop_timer_start_periodic(a->supervising, SUPERVISION_PERIOD_MS);
}

/* ---- start -------------------------------------------------------------- */

/* One {"path":{"op":"set","new":value}} and so on at start; value is taken. */
static void
write_set(struct agent *a, const char *path, struct json_object *value,
    const char *client_id)
{
	struct json_object	*ops = json_object_new_object();
	struct json_object	*op = json_object_new_object();
	uint64_t		 index;

	json_set_string(op, "op", "set");
	json_object_object_add(op, "new", value);
	json_set(ops, path, op);
	bug_unless(agent_transact(a, ops, NULL, client_id, NULL, &index) == 0);
	json_object_put(ops);
}

/* The agent's own configuration is an entry of the log, as in arangod. */
static void
write_configuration(struct agent *a)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*active = json_object_new_array();
	struct json_object	*pool = json_object_new_object();

	json_object_array_add(active, json_object_new_string(a->child->id));
	json_set_string(pool, a->child->id, a->endpoint);
	json_set_uint(o, "term", a->term);
	json_set_string(o, "id", a->child->id);
	json_set(o, "active", active);
	json_set(o, "pool", pool);
	json_set_int(o, "size", 1);
	json_set_int(o, "timeoutMult", 1);
	write_set(a, ".agency", o, NULL);
}

static void
write_initial(struct agent *a)
{
	struct json_object	*tree, *ops, *op;
	uint64_t		 index;
	char			 id[33];

	bug_unless(json_parse(initial_tree, strlen(initial_tree), &tree,
	    NULL) == 0);
	json_set_string(tree, "Cluster", a->child->cluster_id);
	rand_hex(id, 32);
	write_set(a, "arango/", tree, id);

	ops = json_object_new_object();
	op = json_object_new_object();
	json_set_string(op, "op", "increment");
	json_set_int(op, "step", SUPERVISION_IDS);
	json_set(ops, "/arango/Sync/LatestID", op);
	bug_unless(agent_transact(a, ops, NULL, NULL, NULL, &index) == 0);
	json_object_put(ops);
}

static int
load(struct agent *a, struct err_msg *m)
{
	struct json_object	*nothing;
	char			*dir;
	int			 r;

	dir = xasprintf("%s/agency", a->child->dir);
	r = agent_log_open(dir, &a->log, m);
	free(dir);
	if (r != 0 || (r = agent_log_load(a->log, a->store, &a->term,
	    &a->snapshot, m)) != 0)
		return r;
	if (agency_store_next_index(a->store) == 0) {
		/* Entry 0 is empty and of term 0, in every agency. */
		nothing = json_object_new_object();
		append(a, nothing, NULL, clock_wall_ms());
		json_object_put(nothing);
	}
	/* Each start is an election, which this agent wins. */
	a->term++;
	write_configuration(a);
	if (!agency_store_has(a->store, "/arango/Plan"))
		write_initial(a);
	if ((r = agent_log_write(a->log, m)) != 0)
		return r;
	a->committed = agency_store_last_index(a->store);
	return 0;
}

static char *
endpoint_text(const struct sb_child *c)
{
	const char	*host = strstr(c->endpoint, "://");

	return xasprintf("%s://%s",
	    strncmp(c->endpoint, "https", 5) == 0 ? "ssl" : "tcp",
	    host == NULL ? c->endpoint : host + 3);
}

static void
agent_free(struct agent *a)
{
	if (a->expiry != NULL)
		loop_timer_free(&a->expiry);
	if (a->supervising != NULL)
		loop_timer_free(&a->supervising);
	supervision_free(&a->supervision);
	loop_task_cancel(&a->flush);
	sb_server_free(&a->server);
	agent_log_close(&a->log);
	agency_store_free(&a->store);
	agency_store_free(&a->transient);
	free(a->endpoint);
}

int
agent_main(struct sb_child *c)
{
	struct agent	 a = { .child = c, .loop = c->loop };
	struct err_msg	 m = { "" };
	int		 r;

	a.store = agency_store_new();
	a.transient = agency_store_new();
	a.endpoint = endpoint_text(c);
	loop_task_init(&a.flush, flush, &a);
	if ((r = load(&a, &m)) != 0) {
		agent_free(&a);
		return sb_child_fail(c, r == ERR_CORRUPT ? PROC_EXIT_CORRUPT :
		    PROC_EXIT_STORAGE, "%s", m.text);
	}
	if (sb_server_new(c, a.loop, &agent_role, &a, &a.server) != 0) {
		agent_free(&a);
		return sb_child_fail(c, PROC_EXIT_PORT,
		    "agent cannot serve on port %u", (unsigned)c->port);
	}
	timers_start(&a);
	sb_server_ready(a.server);
	sb_child_ready(c);
	log_notice("agent: serving, log at %llu, term %llu",
	    (unsigned long long)a.committed, (unsigned long long)a.term);
	loop_run(a.loop);
	/* What was appended in the last iteration. */
	r = agent_log_write(a.log, &m);
	agent_free(&a);
	return r == 0 ? PROC_EXIT_OK :
	    sb_child_fail(c, PROC_EXIT_STORAGE, "%s", m.text);
}
