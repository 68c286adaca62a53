/*
 * agent_supervision.c - the servers: their heartbeats, their entries in
 * Supervision/Health, the list of failed ones, what dead coordinators have
 * left half made.
 *
 * Facts: arangod/Agency/Supervision.cpp, and recorded agency dumps.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "json/get.h"
#include "sandbox/supervision_priv.h"

/* Two steps so far apart: we were stopped in between. */
#define STOPPED_MS	2000

struct supervision *
supervision_new(const struct supervision_io *io)
{
	struct supervision	*s = xcalloc(1, sizeof(*s));

	s->io = *io;
	s->times.ok_ms = SUPERVISION_OK_MS;
	s->times.grace_ms = SUPERVISION_GRACE_MS;
	s->times.replace_ms = SUPERVISION_REPLACE_MS;
	return s;
}

static void
server_free(void *arg)
{
	struct sv_server	*v = arg;

	json_object_put(v->beat);
	free(v->id);
	free(v);
}

void
supervision_free(struct supervision **sp)
{
	struct supervision	*s = *sp;

	if (s == NULL)
		return;
	*sp = NULL;
	map_free(&s->servers, server_free);
	free(s);
}

const struct supervision_times *
supervision_times(const struct supervision *s)
{
	return &s->times;
}

void
supervision_set_ok(struct supervision *s, double seconds)
{
	if (seconds >= 0.5 && seconds <= 86400)
		s->times.ok_ms = (uint64_t)(seconds * 1000);
}

void
supervision_set_grace(struct supervision *s, double seconds)
{
	if (seconds >= 1 && seconds <= 86400)
		s->times.grace_ms = (uint64_t)(seconds * 1000);
}

/* ---- the store ---------------------------------------------------------- */

struct json_object *
sv_get(struct supervision *s, const char *fmt, ...)
{
	struct json_object	*o;
	va_list			 ap;
	char			*path;

	va_start(ap, fmt);
	if (vasprintf(&path, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	o = agency_store_get(s->io.store, path);
	free(path);
	return o;
}

int
sv_commit(struct supervision *s, struct agency_trx *t)
{
	int	r;

	r = s->io.transact(s->io.arg, t->ops, t->pre);
	agency_trx_free(t);
	return r;
}

bool
sv_is_failed(struct supervision *s, const char *id)
{
	struct json_object	*o = sv_get(s, "/arango/Target/FailedServers");

	return json_object_is_type(o, json_type_object) &&
	    json_object_object_get_ex(o, id, NULL);
}

bool
sv_is_good(struct supervision *s, const char *id)
{
	struct sv_server	*v = map_get(&s->servers, id);

	return v != NULL && v->status == SV_GOOD;
}

/* ---- heartbeats --------------------------------------------------------- */

static const char *
status_name(enum sv_status status)
{
	switch (status) {
	case SV_GOOD:	return "GOOD";
	case SV_BAD:	return "BAD";
	case SV_FAILED:	return "FAILED";
	default:	return "UNCLEAR";
	}
}

static enum sv_status
status_parse(const char *name)
{
	static const enum sv_status	all[] = { SV_GOOD, SV_BAD, SV_FAILED };
	size_t				i;

	for (i = 0; i < NITEMS(all); i++)
		if (strcmp(name, status_name(all[i])) == 0)
			return all[i];
	return SV_UNKNOWN;
}

static struct sv_server *
server_get(struct supervision *s, const char *id, bool dbserver)
{
	struct sv_server	*v = map_get(&s->servers, id);

	if (v != NULL)
		return v;
	v = xcalloc(1, sizeof(*v));
	v->id = xstrdup(id);
	v->is_dbserver = dbserver;
	v->seen_ms = s->now_ms;
	v->seen_wall_ms = s->wall_ms;
	v->status = status_parse(json_string_or(
	    sv_get(s, "/arango/Supervision/Health/%s", id), "Status", ""));
	/* How long it has been so we do not know: count from now. */
	v->failed_ms = s->now_ms;
	(void)map_put(&s->servers, id, v);
	return v;
}

static void
server_listen(struct supervision *s, struct sv_server *v)
{
	struct json_object	*beat;
	char			*path;

	path = xasprintf("/arango/Sync/ServerStates/%s", v->id);
	beat = agency_store_get(s->io.transient, path);
	free(path);
	if (beat == NULL || json_equal(beat, v->beat))
		return;
	json_object_put(v->beat);
	v->beat = json_copy(beat);
	v->seen = true;
	v->seen_ms = s->now_ms;
	v->seen_wall_ms = s->wall_ms;
}

static enum sv_status
server_judge(const struct supervision *s, const struct sv_server *v)
{
	uint64_t	silent = s->now_ms - v->seen_ms;

	if (silent > s->times.grace_ms)
		return SV_FAILED;
	if (silent > s->times.ok_ms)
		return v->status == SV_FAILED ? SV_FAILED : SV_BAD;
	/* Not heard of since the clocks began: as it was before. */
	return v->seen ? SV_GOOD : v->status;
}

/* ---- entries in Health -------------------------------------------------- */

static struct json_object *
health_new(struct supervision *s, const struct sv_server *v)
{
	struct json_object	*o = json_object_new_object(), *reg;
	char			 text[CLOCK_TEXT_SIZE];
	const char		*advertised;

	reg = sv_get(s, "/arango/Current/ServersRegistered/%s", v->id);
	json_set_string(o, "ShortName", json_string_or(sv_get(s,
	    "/arango/Target/MapUniqueToShortID/%s", v->id), "ShortName", ""));
	json_set_string(o, "Endpoint", json_string_or(reg, "endpoint", ""));
	advertised = json_string_or(reg, "advertisedEndpoint", "");
	if (*advertised != '\0')
		json_set_string(o, "AdvertisedEndpoint", advertised);
	json_set_string(o, "Host", json_string_or(reg, "host", ""));
	json_set_string(o, "SyncStatus",
	    json_string_or(v->beat, "status", "UNKNOWN"));
	json_set_string(o, "Status", status_name(v->status));
	json_set_string(o, "Version",
	    json_string_or(reg, "versionString", ""));
	json_set_string(o, "Engine", json_string_or(reg, "engine", ""));
	json_set_string(o, "Timestamp", s->now);
	json_set_string(o, "SyncTime", json_string_or(v->beat, "time", ""));
	json_set_string(o, "LastAckedTime",
	    clock_format_s(v->seen_wall_ms * 1000, text));
	return o;
}

/* Do they differ in more than in times? */
static bool
health_differs(struct json_object *a, struct json_object *b)
{
	static const char *const	 names[] = { "ShortName", "Endpoint",
	    "AdvertisedEndpoint", "Host", "SyncStatus", "Status", "Version",
	    "Engine" };
	size_t				 i;

	for (i = 0; i < NITEMS(names); i++)
		if (strcmp(json_string_or(a, names[i], ""),
		    json_string_or(b, names[i], "")) != 0)
			return true;
	return false;
}

/* The transient copy has fresh times; the logged one changes with the rest. */
static void
health_write(struct supervision *s, const struct sv_server *v)
{
	struct json_object	*o = health_new(s, v);
	struct agency_trx	 t;
	bool			 listed = sv_is_failed(s, v->id);

	agency_trx_init(&t);
	agency_set(&t, json_object_get(o), "/arango/Supervision/Health/%s",
	    v->id);
	(void)agency_store_apply(s->io.transient, t.ops, s->wall_ms);
	agency_trx_free(&t);

	agency_trx_init(&t);
	if (health_differs(o, sv_get(s, "/arango/Supervision/Health/%s",
	    v->id)))
		agency_set(&t, json_object_get(o),
		    "/arango/Supervision/Health/%s", v->id);
	if (v->is_dbserver && v->status == SV_FAILED && !listed)
		agency_set(&t, json_object_new_array(),
		    "/arango/Target/FailedServers/%s", v->id);
	if (v->is_dbserver && v->status == SV_GOOD && listed)
		agency_delete(&t, "/arango/Target/FailedServers/%s", v->id);
	json_object_put(o);
	if (json_object_object_length(t.ops) == 0)
		agency_trx_free(&t);
	else
		(void)sv_commit(s, &t);
}

static void
server_step(struct supervision *s, const char *id, bool dbserver)
{
	struct sv_server	*v = server_get(s, id, dbserver);
	enum sv_status		 status;

	server_listen(s, v);
	status = server_judge(s, v);
	if (status == SV_UNKNOWN)
		return;
	if (status != v->status) {
		if (status == SV_FAILED)
			v->failed_ms = s->now_ms;
		log_notice("supervision: %s is %s now, was %s", id,
		    status_name(status), status_name(v->status));
		v->status = status;
	}
	health_write(s, v);
}

static void
servers_step(struct supervision *s, const char *list, bool dbservers)
{
	struct json_object	*o = sv_get(s, "/arango/Plan/%s", list);

	if (!json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, id, val) {
		(void)val;
		server_step(s, id, dbservers);
	}
}

/* ---- the rest of a step ------------------------------------------------- */

static void
mode_step(struct supervision *s, const char *mode)
{
	struct agency_trx	 t;
	struct json_object	*o;

	if (strcmp(json_string_or(sv_get(s, "/arango/Supervision/State"),
	    "Mode", ""), mode) == 0)
		return;
	o = json_object_new_object();
	json_set_string(o, "Mode", mode);
	json_set_string(o, "Timestamp", s->now);
	agency_trx_init(&t);
	agency_set(&t, o, "/arango/Supervision/State");
	(void)sv_commit(s, &t);
}

/* The coordinator that runs queues of Foxx: another one when it has failed. */
static void
foxxmaster_step(struct supervision *s)
{
	struct json_object	*o = sv_get(s, "/arango/Current/Foxxmaster");
	struct sv_server	*v;
	struct map_iter		 it;
	struct agency_trx	 t;
	const char		*old;

	if (!json_object_is_type(o, json_type_string))
		return;
	old = json_object_get_string(o);
	v = map_get(&s->servers, old);
	if (v != NULL && v->status != SV_FAILED)
		return;
	MAP_FOREACH(&s->servers, it) {
		v = it.value;
		if (v->is_dbserver || v->status != SV_GOOD)
			continue;
		agency_trx_init(&t);
		agency_set(&t, json_object_new_string(v->id),
		    "/arango/Current/Foxxmaster");
		agency_set(&t, json_object_new_boolean(true),
		    "/arango/Current/FoxxmasterQueueupdate");
		(void)sv_commit(s, &t);
		return;
	}
}

/* Is the coordinator that is making this one gone, or started again since? */
static bool
is_abandoned(struct supervision *s, struct json_object *entry)
{
	struct sv_server	*v;
	const char		*id;
	int64_t			 reboot;

	if (!json_object_is_type(entry, json_type_object) ||
	    !json_bool_or(entry, "isBuilding", false) ||
	    (id = json_string_or(entry, "coordinator", NULL)) == NULL)
		return false;
	reboot = json_int_or(sv_get(s, "/arango/Current/ServersKnown/%s", id),
	    "rebootId", 0);
	if (reboot > json_int_or(entry, "coordinatorRebootId", reboot))
		return true;
	v = map_get(&s->servers, id);
	return v == NULL || v->status == SV_FAILED;
}

static void
abandon(struct supervision *s, const char *what, const char *db,
    const char *cid)
{
	struct agency_trx	 t;
	char			*path;

	path = xasprintf("/arango/Plan/%s/%s%s%s", what, db,
	    cid == NULL ? "" : "/", cid == NULL ? "" : cid);
	log_notice("supervision: removing %s, its coordinator is gone", path);
	agency_trx_init(&t);
	agency_if_old(&t, json_object_new_boolean(true), "%s/isBuilding",
	    path);
	agency_delete(&t, "%s", path);
	if (cid == NULL) {
		agency_delete(&t, "/arango/Plan/Collections/%s", db);
		agency_delete(&t, "/arango/Plan/Views/%s", db);
		agency_delete(&t, "/arango/Plan/Analyzers/%s", db);
	}
	agency_increment(&t, 1, "/arango/Plan/Version");
	(void)sv_commit(s, &t);
	free(path);
}

/* One entry per step is enough; what was looked at changes with it. */
static void
building_step(struct supervision *s)
{
	struct json_object	*dbs;

	dbs = sv_get(s, "/arango/Plan/Databases");
	if (json_object_is_type(dbs, json_type_object)) {
		json_object_object_foreach(dbs, name, entry) {
			if (is_abandoned(s, entry)) {
				abandon(s, "Databases", name, NULL);
				return;
			}
		}
	}
	dbs = sv_get(s, "/arango/Plan/Collections");
	if (!json_object_is_type(dbs, json_type_object))
		return;
	json_object_object_foreach(dbs, db, cols) {
		if (!json_object_is_type(cols, json_type_object))
			continue;
		json_object_object_foreach(cols, cid, col) {
			if (is_abandoned(s, col)) {
				abandon(s, "Collections", db, cid);
				return;
			}
		}
	}
}

/* The clocks begin anew: nobody has been heard of, and nobody is late. */
static void
clocks_begin(struct supervision *s)
{
	struct sv_server	*v;
	struct map_iter		 it;

	s->begin_ms = s->now_ms;
	MAP_FOREACH(&s->servers, it) {
		v = it.value;
		v->seen = false;
		v->seen_ms = s->now_ms;
		if (v->status == SV_FAILED)
			v->failed_ms = s->now_ms;
	}
}

void
supervision_step(struct supervision *s, uint64_t mono_ms, uint64_t wall_ms)
{
	s->now_ms = mono_ms;
	s->wall_ms = wall_ms;
	clock_format_s(wall_ms * 1000, s->now);
	if (s->last_ms == 0 || mono_ms - s->last_ms > STOPPED_MS)
		clocks_begin(s);
	s->last_ms = mono_ms;
	if (sv_get(s, "/arango/Supervision/Maintenance") != NULL) {
		mode_step(s, "Maintenance");
		return;
	}
	mode_step(s, "Normal");
	servers_step(s, "Coordinators", false);
	servers_step(s, "DBServers", true);
	/* Until everybody had the time to be heard of, nobody is missing. */
	if (mono_ms - s->begin_ms < s->times.grace_ms) {
		sv_run_jobs(s);
		return;
	}
	foxxmaster_step(s);
	sv_look_at_shards(s);
	sv_run_jobs(s);
	building_step(s);
}
