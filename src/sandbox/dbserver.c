/* dbserver.c - the process of a DB-server: start, commit, timers, end */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/dbs.h"
#include "sandbox/dbs_replication.h"
#include "sandbox/store_wal.h"

#define SYNC_MS		100		/* --rocksdb.sync-interval */
#define TICK_MS		1000
#define PRUNE_TICKS	10		/* background thread's round */
#define START_MS	60000

static const struct sb_route *const tables[] = {
	dbs_document_routes,
	dbs_apply_routes,
	dbs_scan_routes,
	dbs_sync_routes,
	dbs_trx_routes,
	dbs_collection_routes,
	dbs_wal_routes,
	dbs_replication_routes,
	dbs_admin_routes,
	dbs_ttl_routes,
	NULL
};

static bool
db_exists(struct sb_server *s, const char *db)
{
	struct dbs	*d = sb_server_data(s);

	return store_db_find(d->store, db) != NULL;
}

static bool
is_readonly(struct sb_server *s)
{
	struct dbs	*d = sb_server_data(s);

	return cluster_is_readonly(d->cluster);
}

static const struct sb_role role = {
	.name = "PRIMARY",
	.tables = tables,
	.db_exists = db_exists,
	.is_readonly = is_readonly
};

void
dbs_storage_failed(struct dbs *d)
{
	sb_child_storage_failed(d->child, store_error(d->store));
}

/* ---- group commit ---------------------------------------------------- */

static void
commit(void *arg)
{
	struct dbs	*d = arg;
	int		 r;

	/*
	 * Memory and followers' queues are ahead of the disk now.  If it
	 * refuses, only a restart brings them together again.
	 */
	r = d->commit_sync ? store_sync(d->store) :
	    store_commit_pending(d->store);
	if (r != 0)
		dbs_storage_failed(d);
	d->commit_sync = false;
	d->committed = d->round++;
	fiber_cond_broadcast(&d->commit_done);
	dbs_streams_wake(d);
}

static void
commit_soon(void *arg)
{
	struct dbs	*d = arg;

	loop_task_post_late(d->loop, &d->commit_task);
}

/* Writes are answered before this. */
static void
sync_log(void *arg)
{
	struct dbs	*d = arg;

	if (store_is_dirty(d->store) && store_sync(d->store) != 0)
		dbs_storage_failed(d);
}

/* ---- housekeeping ---------------------------------------------------- */

static uint64_t
keep_tick(struct dbs *d)
{
	uint64_t	 lowest = store_clients_lowest(d->clients);

	return MIN(lowest, store_last_tick(d->store));
}

static int
prune(void *arg, struct sb_prune_result *out, struct err_msg *msg)
{
	struct dbs		*d = arg;
	struct store_wal_file	*files = NULL;
	unsigned int		 gone = 0;
	size_t			 n = 0;
	int			 r;

	if ((r = store_wal_rotate(d->store)) == 0)
		r = store_wal_prune(d->store, keep_tick(d), true, &gone, NULL);
	if (r == AE_LOCKED)
		return err_set(msg, ERR_BAD_STATE,
		    "the log is being read, nothing was dropped");
	if (r == 0)
		r = store_wal_files(d->store, &files, &n);
	if (r != 0)
		return err_set(msg, ERR_STORAGE, "%s", store_error(d->store));
	free(files);
	out->removed = gone;
	out->kept = n;
	return 0;
}

static void
tick_main(void *arg)
{
	struct dbs	*d = arg;
	unsigned	 n;

	for (n = 1; !d->stopping; n++) {
		fiber_sleep_ms(TICK_MS);
		if (d->stopping)
			break;
		store_snap_expire(d->store);
		dbs_batches_expire(d);
		store_clients_expire(d->clients, loop_now_ms(d->loop));
		dbs_trx_expire(d);
		if (n % PRUNE_TICKS == 0)
			store_wal_prune(d->store, keep_tick(d), false, NULL,
			    NULL);
	}
}

/* ---- start and end --------------------------------------------------- */

static void
start_main(void *arg)
{
	struct dbs	*d = arg;
	char		*endpoint;
	const char	*host;
	uint64_t	 end = loop_now_ms(d->loop) + START_MS;
	int		 r;

	agency_start(d->agency);
	host = strstr(d->child->endpoint, "://");
	endpoint = xasprintf("%s%s", d->child->tls_keyfile != NULL ?
	    "ssl" : "tcp", host != NULL ? host : "://");
	if ((r = agency_wait_ready(d->agency, end)) == 0 &&
	    (r = agency_register(d->agency, AGENCY_DBSERVER, endpoint,
	    end)) == 0)
		r = dbs_maintenance_forget(d);
	free(endpoint);
	if (r != 0) {
		d->exit_code = sb_child_fail(d->child, PROC_EXIT_PEER,
		    "the agency does not answer: %s", err_text(r));
		d->stopping = true;
		loop_stop(d->loop);
		return;
	}
	agency_heartbeat_start(d->agency, "SERVING");
	dbs_maintenance_start(d);
	fiber_spawn(d->loop, tick_main, d);
	fiber_spawn(d->loop, dbs_ttl_main, d);
	sb_server_ready(d->server);
	sb_child_ready(d->child);
	log_notice("serving on %s", d->child->endpoint);
}

static void
quit(void *arg, enum sb_quit why)
{
	struct dbs	*d = arg;

	(void)why;
	d->stopping = true;
	dbs_maintenance_stop(d);
	dbs_streams_free(d);
	loop_stop(d->loop);
}

static int
dbs_open(struct dbs *d, struct sb_child *c)
{
	struct store_opts	 opts = { 0 };
	struct err_msg		 em = { "" };

	d->child = c;
	d->loop = c->loop;
	d->id = c->id;
	d->round = 1;
	d->clients = store_clients_new();
	if (sb_server_new(c, c->loop, &role, d, &d->server) != 0)
		return sb_child_fail(c, PROC_EXIT_PORT,
		    "cannot serve on port %u", c->port);
	opts.version = sb_version(d->server);
	if (store_open(c->store_dir, &opts, &d->store, &em) != 0)
		return sb_child_fail(c, PROC_EXIT_STORAGE, "%s", em.text);
	dbs_clock_receive(d, store_max_rev(d->store));
	if (agency_new(d->server, c->agency_endpoint, c->id, &d->agency) !=
	    0 || cluster_new(d->agency, &d->cluster) != 0)
		return sb_child_fail(c, PROC_EXIT_FATAL,
		    "cannot use the agency");
	loop_task_init(&d->commit_task, commit, d);
	if (c->merge_window_us > 0)
		d->merge_timer = loop_timer_new(c->loop, commit_soon, d);
	d->sync_timer = loop_timer_new(c->loop, sync_log, d);
	loop_timer_start_periodic(d->sync_timer, SYNC_MS);
	sb_child_on_prune(c, prune, d);
	sb_child_on_quit(c, quit, d);
	return PROC_EXIT_OK;
}

int
dbserver_main(struct sb_child *c)
{
	struct dbs	*d = xcalloc(1, sizeof(*d));
	int		 code;

	if ((code = dbs_open(d, c)) != PROC_EXIT_OK)
		return code;
	fiber_spawn(c->loop, start_main, d);
	loop_run(c->loop);
	/*
	 * Fibers that still wait are gone with the process; what they did is
	 * committed or never happened.
	 */
	d->stopping = true;
	dbs_trx_free_all(d);
	loop_timer_free(&d->sync_timer);
	loop_timer_free(&d->merge_timer);
	dbs_apply_free(d);
	dbs_batches_free();
	store_close(&d->store);
	store_clients_free(&d->clients);
	sb_server_free(&d->server);
	cluster_free(&d->cluster);
	agency_free(&d->agency);
	log_notice("stopped");
	return d->exit_code;
}
