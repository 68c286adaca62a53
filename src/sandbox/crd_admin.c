/*
 * crd_admin.c - /_admin/cluster, /_admin/server/mode, /_api/cluster: what
 * the cluster is made of, who is well, jobs for the supervision.
 *
 * Facts: arangod/RestHandler/RestAdminClusterHandler.cpp,
 * RestAdminServerHandler.cpp, RestClusterHandler.cpp, Cluster/
 * ShardDistributionReporter.cpp.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ev/loop.h"
#include "sandbox/coordinator.h"
#include "sandbox/crd_ddl.h"
#include "sandbox/crd_json.h"

#define AGENCY_TIMEOUT_MS	20000
/* How long the supervision may take to notice a switch. */
#define SUPERVISION_TIMEOUT_MS	10000
#define MAINTENANCE_S		3600

static uint64_t
deadline_in(struct crd *c, uint64_t ms)
{
	return loop_now_ms(c->loop) + ms;
}

static void
time_text(char text[32], time_t t)
{
	struct tm	 tm;

	gmtime_r(&t, &tm);
	strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* ---- health ---------------------------------------------------------------- */

/* Does the server hold a shard, in Plan or Current? */
static bool
is_needed(struct crd *c, const char *id)
{
	const struct cl_collection *const *list;
	size_t	 i, k, n;

	n = cluster_collections(c->cluster, NULL, &list);
	for (i = 0; i < n; i++)
		for (k = 0; k < list[i]->nshards; k++)
			if (cl_servers_contain(&list[i]->shards[k].plan, id) ||
			    cl_servers_contain(&list[i]->shards[k].current,
			    id))
				return true;
	return false;
}

static struct json_object *
member_health(struct crd *c, const char *id, struct json_object *in)
{
	struct json_object	*o = json_object_new_object();
	const char		*status = cj_str(in, "Status");
	bool			 failed, dbserver;

	if (cj_is_object(in)) {
		json_object_object_foreach(in, name, value)
			cj_add_ref(o, name, value);
	}
	dbserver = strncmp(id, "PRMR", 4) == 0;
	failed = status != NULL && strcmp(status, "FAILED") == 0;
	cj_add_str(o, "Role", dbserver ? "DBServer" : "Coordinator");
	cj_add_bool(o, "CanBeDeleted",
	    failed && !(dbserver && is_needed(c, id)));
	return o;
}

/* The agents, from what the one we know says of itself. */
static void
add_agents(struct crd *c, struct json_object *health)
{
	struct sb_resp		 resp;
	struct json_object	*config, *pool, *acked, *o;
	const char		*leader;

	sb_call(c->server, c->child->agency_endpoint, "GET",
	    "/_api/agency/config", NULL, NULL, 0, 0, 5000, &resp);
	config = resp.status == 200 ? sb_resp_json(&resp) : NULL;
	sb_resp_free(&resp);
	leader = cj_str(config, "leaderId");
	acked = cj_get(config, "lastAcked");
	pool = cj_get(cj_get(config, "configuration"), "pool");
	if (cj_is_object(pool)) {
		json_object_object_foreach(pool, id, endpoint) {
			o = json_object_new_object();
			cj_add_str(o, "Role", "Agent");
			cj_add_ref(o, "Endpoint", endpoint);
			cj_add_bool(o, "CanBeDeleted", false);
			cj_add_bool(o, "Leading", leader != NULL &&
			    strcmp(leader, id) == 0);
			cj_add(o, "LastAckedTime", json_object_new_double(
			    (double)cj_int(cj_get(acked, id), "lastAckedTime",
			    0)));
			cj_add_ref(o, "Engine", cj_get(config, "engine"));
			cj_add_ref(o, "Version", cj_get(config, "version"));
			cj_add_str(o, "Leader", leader != NULL ? leader : "");
			cj_add_str(o, "Status", "GOOD");
			cj_add(health, id, o);
		}
	}
	json_object_put(config);
}

static void
get_health(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*o, *health, *in;

	in = agency_peek(c->agency, "/arango/Supervision/Health");
	health = json_object_new_object();
	if (cj_is_object(in)) {
		json_object_object_foreach(in, id, value)
			cj_add(health, id, member_health(c, id, value));
	}
	add_agents(c, health);
	o = json_object_new_object();
	cj_add_str(o, "ClusterId", cluster_id(c->cluster));
	cj_add(o, "Health", health);
	sb_reply_ok(r, 200, o);
}

/* ---- shard distribution ---------------------------------------------------- */

static const char *
short_name(struct crd *c, const char *id)
{
	const struct cl_server	*s = cluster_server(c->cluster, id);

	return s != NULL && s->short_name[0] != '\0' ? s->short_name : id;
}

static struct json_object *
distribution(struct crd *c, const struct cl_servers *servers)
{
	struct json_object	*o = json_object_new_object(), *list;
	size_t			 i;

	list = json_object_new_array();
	for (i = 1; i < servers->n; i++)
		cj_push_str(list, short_name(c, servers->id[i]));
	if (servers->n > 0)
		cj_add_str(o, "leader", short_name(c, servers->id[0]));
	cj_add(o, "followers", list);
	return o;
}

static struct json_object *
collection_distribution(struct crd *c, const struct cl_collection *col)
{
	struct json_object	*o = json_object_new_object();
	struct json_object	*plan = json_object_new_object();
	struct json_object	*current = json_object_new_object();
	size_t			 i;

	for (i = 0; i < col->nshards; i++) {
		cj_add(plan, col->shards[i].name,
		    distribution(c, &col->shards[i].plan));
		cj_add(current, col->shards[i].name,
		    distribution(c, &col->shards[i].current));
	}
	cj_add(o, "Plan", plan);
	cj_add(o, "Current", current);
	return o;
}

static void
reply_distribution(struct sb_req *r, const char *only)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection *const *list;
	struct json_object		*o, *out;
	size_t				 i, n;

	out = json_object_new_object();
	n = cluster_collections(c->cluster, r->db, &list);
	for (i = 0; i < n; i++)
		if (!list[i]->is_building &&
		    (only == NULL || strcmp(only, list[i]->name) == 0))
			cj_add(out, list[i]->name,
			    collection_distribution(c, list[i]));
	o = json_object_new_object();
	cj_add(o, "results", out);
	sb_reply_ok(r, 200, o);
}

static void
get_distribution(struct sb_req *r)
{
	reply_distribution(r, NULL);
}

static void
get_one_distribution(struct sb_req *r)
{
	const char	*name = sb_param(r, "collection");

	if (name == NULL || name[0] == '\0')
		sb_error(r, AE_BAD_PARAMETER,
		    "expected nonempty `collection` parameter");
	else
		reply_distribution(r, name);
}

static void
put_one_distribution(struct sb_req *r)
{
	struct json_object	*body;

	if ((body = sb_body_json(r, true)) == NULL)
		return;
	if (cj_str(body, "collection") == NULL)
		sb_error(r, AE_BAD_PARAMETER,
		    "object with key `collection`");
	else
		reply_distribution(r, cj_str(body, "collection"));
	json_object_put(body);
}

/* ---- number of servers ----------------------------------------------------- */

static void
get_number_of_servers(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*target, *o, *cleaned;

	target = agency_peek(c->agency, "/arango/Target");
	o = json_object_new_object();
	cj_add_ref(o, "numberOfDBServers",
	    cj_get(target, "NumberOfDBServers"));
	cj_add_ref(o, "numberOfCoordinators",
	    cj_get(target, "NumberOfCoordinators"));
	cleaned = cj_get(target, "CleanedServers");
	cj_add(o, "cleanedServers", cleaned != NULL ?
	    json_object_get(cleaned) : json_object_new_array());
	sb_reply_ok(r, 200, o);
}

static void
put_number_of_servers(struct sb_req *r)
{
	static const struct {
		const char	*attribute, *key;
	} known[] = {
		{ "numberOfCoordinators", "NumberOfCoordinators" },
		{ "numberOfDBServers", "NumberOfDBServers" },
		{ "cleanedServers", "CleanedServers" }
	};
	struct crd		*c = crd_of(r);
	struct json_object	*body;
	struct agency_trx	 t;
	size_t			 i;
	int			 n;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if (!cj_is_object(body)) {
		sb_error(r, AE_HTTP_BAD_PARAMETER, "object expected");
		json_object_put(body);
		return;
	}
	agency_trx_init(&t);
	for (i = 0; i < NITEMS(known); i++)
		if (cj_has(body, known[i].attribute))
			agency_set(&t, cj_clone(cj_get(body,
			    known[i].attribute)), "/arango/Target/%s",
			    known[i].key);
	n = crd_commit(c, &t, deadline_in(c, AGENCY_TIMEOUT_MS));
	json_object_put(body);
	if (n != 0)
		sb_error(r, crd_agency_errnum(n), NULL);
	else
		sb_reply_ok(r, 200, json_object_new_object());
}

/* ---- maintenance ----------------------------------------------------------- */

static const char *
supervision_mode(struct crd *c)
{
	const char	*s = cj_str(agency_peek(c->agency,
	    "/arango/Supervision/State"), "Mode");

	return s != NULL ? s : "Normal";
}

static void
get_maintenance(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	cj_add_bool(o, "error", false);
	cj_add_str(o, "result", supervision_mode(crd_of(r)));
	sb_reply_json(r, 200, o);
}

static bool
mode_is(struct cluster *cl, void *arg)
{
	const char	*s = cj_str(agency_peek(cluster_agency(cl),
	    "/arango/Supervision/State"), "Mode");

	return s != NULL && strcmp(s, arg) == 0;
}

static void
set_maintenance(struct sb_req *r, bool on, unsigned seconds)
{
	char			 maintenance[] = "Maintenance";
	char			 normal[] = "Normal", text[32];
	struct crd		*c = crd_of(r);
	struct agency_trx	 t;
	struct json_object	*o;
	int			 n;

	agency_trx_init(&t);
	if (on) {
		time_text(text, time(NULL) + (time_t)seconds);
		agency_set_ttl(&t, json_object_new_string(text), seconds,
		    "/arango/Supervision/Maintenance");
	} else {
		agency_delete(&t, "/arango/Supervision/Maintenance");
	}
	n = crd_commit(c, &t, deadline_in(c, AGENCY_TIMEOUT_MS));
	if (n == 0)
		n = cluster_wait(c->cluster, mode_is,
		    on ? maintenance : normal,
		    deadline_in(c, SUPERVISION_TIMEOUT_MS));
	if (n != 0) {
		sb_error_status(r, 408, 504, "timed out while waiting for "
		    "supervision to go into maintenance mode");
		return;
	}
	o = json_object_new_object();
	cj_add_bool(o, "error", false);
	cj_add_str(o, "warning", on ? "Cluster supervision deactivated. It "
	    "will be reactivated automatically in 60 minutes unless this call "
	    "is repeated until then." : "Cluster supervision reactivated.");
	sb_reply_json(r, 200, o);
}

static void
put_maintenance(struct sb_req *r)
{
	struct json_object	*body;
	const char		*s;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	s = cj_is_string(body) ? json_object_get_string(body) : "";
	if (strcmp(s, "on") == 0)
		set_maintenance(r, true, MAINTENANCE_S);
	else if (strcmp(s, "off") == 0)
		set_maintenance(r, false, 0);
	else if (s[0] >= '1' && s[0] <= '9')
		set_maintenance(r, true, (unsigned)strtoul(s, NULL, 10));
	else
		sb_error(r, AE_BAD_PARAMETER,
		    "string expected with value `on` or `off`");
	json_object_put(body);
}

/* ---- jobs ------------------------------------------------------------------ */

/* The id of a server that is named by id or short name. */
static const char *
server_id(struct crd *c, const char *name)
{
	const struct cl_server	*s;

	if ((s = cluster_server(c->cluster, name)) == NULL)
		s = cluster_server_by_short_name(c->cluster, name);
	return s != NULL && s->is_dbserver ? s->id : NULL;
}

/* Put a job on the supervision's list and answer 202 with its id; o is
 * consumed. */
static void
post_job(struct sb_req *r, struct json_object *o)
{
	struct crd		*c = crd_of(r);
	struct json_object	*answer;
	struct agency_trx	 t;
	uint64_t		 id;
	char			 text[32], now[32];
	int			 n;

	if ((id = crd_new_id(c)) == 0) {
		json_object_put(o);
		sb_error(r, AE_CLUSTER_TIMEOUT, NULL);
		return;
	}
	snprintf(text, sizeof(text), "%" PRIu64, id);
	time_text(now, time(NULL));
	cj_add_str(o, "jobId", text);
	cj_add_str(o, "creator", c->child->id);
	cj_add_str(o, "timeCreated", now);
	agency_trx_init(&t);
	agency_set(&t, o, "/arango/Target/ToDo/%s", text);
	n = crd_commit(c, &t, deadline_in(c, AGENCY_TIMEOUT_MS));
	if (n != 0) {
		sb_error(r, crd_agency_errnum(n), NULL);
		return;
	}
	answer = json_object_new_object();
	cj_add_str(answer, "id", text);
	sb_reply_ok(r, 202, answer);
}

static void
move_shard(struct sb_req *r, struct json_object *body)
{
	struct crd			*c = crd_of(r);
	const struct cl_collection	*col;
	const struct cl_servers		*servers;
	struct json_object		*o;
	const char			*db, *from, *to;
	long				 i;

	db = cj_str(body, "database") != NULL ? cj_str(body, "database") :
	    r->db;
	col = cluster_collection(c->cluster, db, cj_str(body, "collection"));
	if (col == NULL) {
		sb_error(r, AE_HTTP_NOT_FOUND, "database/collection not found");
		return;
	}
	from = server_id(c, cj_str(body, "fromServer"));
	to = server_id(c, cj_str(body, "toServer"));
	if (from == NULL || to == NULL) {
		sb_error(r, AE_HTTP_NOT_FOUND,
		    "one or both dbservers not found");
		return;
	}
	if (col->distribute_shards_like != NULL) {
		sb_error(r, AE_HTTP_FORBIDDEN, "MoveShard only allowed for "
		    "collections which have distributeShardsLike unset.");
		return;
	}
	if ((i = cl_collection_shard_index(col, cj_str(body, "shard"))) < 0) {
		sb_error(r, AE_HTTP_NOT_FOUND, "shard not found");
		return;
	}
	servers = &col->shards[i].plan;
	if (!cl_servers_contain(servers, from)) {
		sb_error(r, AE_HTTP_NOT_FOUND,
		    "shard is not located on the server");
		return;
	}
	o = json_object_new_object();
	cj_add_str(o, "type", "moveShard");
	cj_add_str(o, "database", db);
	cj_add_str(o, "collection", col->cid);
	cj_add_str(o, "shard", col->shards[i].name);
	cj_add_str(o, "fromServer", from);
	cj_add_str(o, "toServer", to);
	cj_add_bool(o, "isLeader", strcmp(servers->id[0], from) == 0);
	cj_add_bool(o, "remainsFollower",
	    strcmp(servers->id[0], from) == 0 &&
	    cj_bool(body, "remainsFollower", true));
	post_job(r, o);
}

static void
post_move_shard(struct sb_req *r)
{
	struct json_object	*body;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if (cj_str(body, "collection") == NULL ||
	    cj_str(body, "shard") == NULL ||
	    cj_str(body, "fromServer") == NULL ||
	    cj_str(body, "toServer") == NULL)
		sb_error(r, AE_BAD_PARAMETER, "object with keys `database`, "
		    "`collection`, `shard`, `fromServer` and `toServer` (all "
		    "strings) expected");
	else
		move_shard(r, body);
	json_object_put(body);
}

static void
get_job(struct sb_req *r)
{
	static const char *const	 lists[] = { "Pending", "Failed",
	    "Finished", "ToDo" };
	struct crd			*c = crd_of(r);
	const char			*id = sb_param(r, "id");
	struct json_object		*job, *o;
	size_t				 i;

	if (id == NULL || id[0] == '\0') {
		sb_error(r, AE_BAD_PARAMETER, "missing id parameter");
		return;
	}
	for (i = 0; i < NITEMS(lists); i++) {
		job = agency_peek(c->agency, "/arango/Target/%s/%s", lists[i],
		    id);
		if (!cj_is_object(job))
			continue;
		o = cj_clone(job);
		cj_add_bool(o, "error", false);
		cj_add_str(o, "job", id);
		cj_add_str(o, "status", lists[i]);
		sb_reply_json(r, 200, o);
		return;
	}
	sb_error(r, AE_HTTP_NOT_FOUND, NULL);
}

/* ---- read-only mode -------------------------------------------------------- */

static void
get_mode(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	cj_add_str(o, "mode", cluster_is_readonly(crd_of(r)->cluster) ?
	    "readonly" : "default");
	sb_reply_ok(r, 200, o);
}

static void
put_mode(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*body;
	struct agency_trx	 t;
	const char		*mode;
	bool			 readonly;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	mode = cj_str(body, "mode");
	if (mode == NULL || (strcmp(mode, "readonly") != 0 &&
	    strcmp(mode, "default") != 0)) {
		sb_error(r, AE_HTTP_BAD_PARAMETER, mode == NULL ?
		    "mode must be a string" :
		    "mode invalid, must be 'readonly' or 'default'");
		json_object_put(body);
		return;
	}
	readonly = strcmp(mode, "readonly") == 0;
	json_object_put(body);
	agency_trx_init(&t);
	agency_set(&t, json_object_new_boolean(readonly), "/arango/Readonly");
	if (crd_commit(c, &t, deadline_in(c, AGENCY_TIMEOUT_MS)) != 0)
		sb_error_status(r, 400, AE_HTTP_SERVER_ERROR,
		    "couldn't set requested mode");
	else
		get_mode(r);
}

/* ---- /_api/cluster --------------------------------------------------------- */

static void
get_endpoints(struct sb_req *r)
{
	const struct cl_server *const	*list;
	struct json_object		*o, *out, *e;
	size_t				 i, n;

	out = json_object_new_array();
	n = cluster_servers(crd_of(r)->cluster, false, false, &list);
	for (i = 0; i < n; i++) {
		if (list[i]->endpoint[0] == '\0')
			continue;
		e = json_object_new_object();
		cj_add_str(e, "endpoint", list[i]->endpoint);
		json_object_array_add(out, e);
	}
	o = json_object_new_object();
	cj_add(o, "endpoints", out);
	sb_reply_ok(r, 200, o);
}

static void
get_agency_dump(struct sb_req *r)
{
	struct crd		*c = crd_of(r);
	struct json_object	*o, *tree = NULL;
	char			 text[32];

	if (agency_read(c->agency, deadline_in(c, AGENCY_TIMEOUT_MS), &tree,
	    "/", NULL) != 0) {
		sb_error(r, AE_HTTP_SERVICE_UNAVAILABLE,
		    "the agency does not answer");
		return;
	}
	o = json_object_new_object();
	snprintf(text, sizeof(text), "%" PRIu64, agency_index(c->agency));
	cj_add_str(o, "index", text);
	cj_add_str(o, "term", "1");
	cj_add(o, "agency", tree);
	cj_add(o, "log", json_object_new_array());
	sb_reply_json(r, 200, o);
}

static void
not_there(struct sb_req *r)
{
	sb_not_supported(r, r->path);
}

#define ANY	(SB_GET | SB_POST | SB_PUT | SB_PATCH | SB_DELETE)

const struct sb_route	 crd_admin_routes[] = {
	{ SB_GET, "/_admin/cluster/health", 0, get_health },
	{ SB_GET, "/_admin/cluster/shardDistribution", SB_ADMIN,
	    get_distribution },
	{ SB_GET, "/_admin/cluster/collectionShardDistribution", SB_ADMIN,
	    get_one_distribution },
	{ SB_PUT, "/_admin/cluster/collectionShardDistribution", SB_ADMIN,
	    put_one_distribution },
	{ SB_GET, "/_admin/cluster/numberOfServers", 0,
	    get_number_of_servers },
	{ SB_PUT, "/_admin/cluster/numberOfServers", SB_ADMIN,
	    put_number_of_servers },
	{ SB_GET, "/_admin/cluster/maintenance", SB_ADMIN, get_maintenance },
	{ SB_PUT, "/_admin/cluster/maintenance", SB_ADMIN, put_maintenance },
	{ SB_POST, "/_admin/cluster/moveShard", SB_ADMIN, post_move_shard },
	{ SB_GET, "/_admin/cluster/queryAgencyJob", SB_ADMIN, get_job },
	{ ANY, "/_admin/cluster/**", 0, not_there },
	{ SB_GET, "/_admin/server/mode", 0, get_mode },
	{ SB_PUT, "/_admin/server/mode", SB_ADMIN, put_mode },
	{ SB_GET, "/_api/cluster/endpoints", 0, get_endpoints },
	{ SB_GET, "/_api/cluster/agency-dump", SB_ADMIN, get_agency_dump },
	{ ANY, "/_api/cluster/**", 0, not_there },
	{ 0, NULL, 0, NULL }
};
