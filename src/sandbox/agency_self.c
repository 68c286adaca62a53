/*
 * agency_self.c - a server enters itself in the agency, and says that it is
 * alive.
 *
 * Facts: ServerState.cpp, HeartbeatThread.cpp; the order and form of the
 * writes are those of recorded agency logs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "json/get.h"
#include "sandbox/agency_client.h"
#include "sandbox/child.h"

#define HEARTBEAT_PERIOD_MS	500
#define HEARTBEAT_ATTEMPT_MS	2000

static const struct role_words {
	const char	*list;		/* below Plan and Current */
	const char	*latest;	/* below Target */
	const char	*short_name;	/* and four digits */
} words[] = {
	[AGENCY_DBSERVER] = { "DBServers", "LatestDBServerId", "DBServer" },
	[AGENCY_COORDINATOR] = { "Coordinators", "LatestCoordinatorId",
	    "Coordinator" },
};

/* Plan/DBServers/<id> or Current/DBServers/<id>, and the Version of it. */
static int
enter_list(struct agency *a, const char *top, const char *list,
    uint64_t deadline_ms)
{
	struct agency_trx	t;

	agency_trx_init(&t);
	agency_set(&t, json_object_new_string("none"), "arango/%s/%s/%s", top,
	    list, a->id);
	agency_increment(&t, 1, "arango/%s/Version", top);
	return agency_commit(a, &t, deadline_ms, NULL);
}

/* Our number among the servers of a kind is the one of our name. */
static int
enter_short_name(struct agency *a, const struct role_words *w,
    uint64_t deadline_ms)
{
	struct json_object	*target, *mine, *o;
	struct agency_trx	 t;
	unsigned		 number = sb_server_child(a->server)->number;
	int64_t			 latest;
	int			 r;

	do {
		if ((r = agency_read(a, deadline_ms, &o, "/arango/Target",
		    NULL)) != 0)
			return r;
		target = agency_walk(o, "/arango/Target");
		mine = agency_walk(agency_walk(target, "MapUniqueToShortID"),
		    a->id);
		if (mine != NULL) {
			snprintf(a->short_name, sizeof(a->short_name), "%s",
			    json_string_or(mine, "ShortName", ""));
			json_object_put(o);
			break;
		}
		latest = json_int_or(target, w->latest, 0);
		json_object_put(o);
		snprintf(a->short_name, sizeof(a->short_name), "%s%04u",
		    w->short_name, number);
		mine = json_object_new_object();
		json_set_uint(mine, "TransactionID", number);
		json_set_string(mine, "ShortName", a->short_name);
		agency_trx_init(&t);
		if (latest == 0)
			agency_if_empty(&t, true, "arango/Target/%s",
			    w->latest);
		else
			agency_if_old(&t, json_object_new_int64(latest),
			    "arango/Target/%s", w->latest);
		agency_set(&t, json_object_new_int64((int64_t)number > latest ?
		    (int64_t)number : latest), "arango/Target/%s", w->latest);
		agency_set(&t, mine, "arango/Target/MapUniqueToShortID/%s",
		    a->id);
		r = agency_commit(a, &t, deadline_ms, NULL);
	} while (r == ERR_BAD_STATE);	/* another server was quicker */
	if (r == 0)
		a->short_number = (unsigned)strtoul(a->short_name +
		    strcspn(a->short_name, "0123456789"), NULL, 10);
	return r;
}

static struct json_object *
registration(struct agency *a, const char *endpoint)
{
	struct json_object	*o = json_object_new_object();
	char			 host[256] = "localhost";
	char			 now[CLOCK_TEXT_SIZE];
	long			 pages = sysconf(_SC_PHYS_PAGES);
	long			 cores = sysconf(_SC_NPROCESSORS_ONLN);
	int			 version = sb_version(a->server);

	(void)gethostname(host, sizeof(host) - 1);
	json_set_string(o, "endpoint", endpoint);
	json_set_string(o, "advertisedEndpoint", "");
	json_set_string(o, "host", host);
	if (version >= 31000) {
		json_set_uint(o, "physicalMemory", pages <= 0 ? 0 :
		    (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE));
		json_set_int(o, "numberOfCores", cores <= 0 ? 1 : cores);
	}
	json_set_int(o, "version", version);
	json_set_string(o, "versionString", sb_version_text(a->server));
	json_set_string(o, "engine", "rocksdb");
	if (version >= 30900)
		json_set_bool(o, "extendedNamesDatabases", false);
	json_set_string(o, "timestamp",
	    clock_format_s(clock_wall_us(), now));
	return o;
}

static int
enter_registration(struct agency *a, const char *endpoint,
    uint64_t deadline_ms)
{
	struct agency_trx	 t;
	struct json_object	*o;
	char			*path;
	int			 r;

	agency_trx_init(&t);
	agency_set(&t, registration(a, endpoint),
	    "arango/Current/ServersRegistered/%s", a->id);
	agency_increment(&t, 1, "arango/Current/ServersKnown/%s/rebootId",
	    a->id);
	agency_increment(&t, 1, "arango/Current/Version");
	if ((r = agency_commit(a, &t, deadline_ms, NULL)) != 0)
		return r;
	path = xasprintf("/arango/Current/ServersKnown/%s/rebootId", a->id);
	r = agency_read(a, deadline_ms, &o, path, NULL);
	if (r == 0) {
		a->reboot_id = (uint64_t)json_object_get_int64(
		    agency_walk(o, path));
		json_object_put(o);
	}
	free(path);
	return r;
}

int
agency_register(struct agency *a, enum agency_role role, const char *endpoint,
    uint64_t deadline_ms)
{
	const struct role_words	*w = &words[role];
	int			 r;

	if ((r = enter_list(a, "Plan", w->list, deadline_ms)) != 0 ||
	    (r = enter_list(a, "Current", w->list, deadline_ms)) != 0 ||
	    (r = enter_short_name(a, w, deadline_ms)) != 0)
		return r;
	return enter_registration(a, endpoint, deadline_ms);
}

const char *
agency_short_name(const struct agency *a)
{
	return a->short_name;
}

unsigned
agency_short_number(const struct agency *a)
{
	return a->short_number;
}

uint64_t
agency_reboot_id(const struct agency *a)
{
	return a->reboot_id;
}

const char *
agency_server_id(const struct agency *a)
{
	return a->id;
}

/* ---- heartbeats --------------------------------------------------------- */

static void
beat(struct agency *a)
{
	struct json_object	*body, *trx, *value;
	struct agency_trx	 t;
	struct sb_resp		 resp;
	char			 now[CLOCK_TEXT_SIZE];
	uint64_t		 begin = loop_now_ms(a->loop);

	value = json_object_new_object();
	json_set_string(value, "status", a->status);
	json_set_string(value, "time", clock_format_s(clock_wall_us(), now));
	agency_trx_init(&t);
	agency_set(&t, value, "/arango/Sync/ServerStates/%s", a->id);
	trx = json_object_new_array();
	json_object_array_add(trx, json_object_get(t.ops));
	agency_trx_free(&t);
	body = json_object_new_array();
	json_object_array_add(body, trx);
	if (agency_post(a, "transient", body, HEARTBEAT_ATTEMPT_MS,
	    FIBER_FOREVER, &resp) == 200)
		a->beat_ms = begin;
	sb_resp_free(&resp);
	json_object_put(body);
}

static void
heart(void *arg)
{
	struct agency	*a = arg;

	while (!a->stopping) {
		beat(a);
		if (!a->stopping)
			fiber_sleep_ms(HEARTBEAT_PERIOD_MS);
	}
	agency_unref(a);
}

void
agency_heartbeat_start(struct agency *a, const char *status)
{
	agency_heartbeat_status(a, status);
	if (a->beating)
		return;
	a->beating = true;
	a->refs++;
	(void)fiber_spawn(a->loop, heart, a);
}

void
agency_heartbeat_status(struct agency *a, const char *status)
{
	char	*old = a->status;

	a->status = xstrdup(status);
	free(old);
}

uint64_t
agency_last_heartbeat_ms(const struct agency *a)
{
	return a->beat_ms;
}
