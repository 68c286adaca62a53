/*
 * cmd_move.c - move-shard: ask a coordinator, then look at the agency until it
 * is so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "base/clock.h"
#include "base/str.h"
#include "conf/conf.h"
#include "http/client.h"
#include "json/get.h"
#include "sandbox/cmd.h"

#define REQUEST_MS	10000
#define LOOK_PAUSE_MS	100

struct move {
	const char		*dir;
	struct json_object	*cluster;	/* cluster.json */
	const char		*db, *collection;
	uint64_t		 index;
	const char		*to_name;	/* "dbserver2" */
	const char		*to;		/* "PRMR-..." */
	const char		*agent;		/* endpoint */
	char			*cid;
	char			*shard;
	char			*from;		/* leader in Plan */
	char			 missing[512];	/* what is not yet so */
};

/* A member of nested objects; names may hold dots. */
static struct json_object *
member(struct json_object *o, const char *name)
{
	struct json_object	*v = NULL;

	if (!json_object_is_type(o, json_type_object) ||
	    !json_object_object_get_ex(o, name, &v))
		return NULL;
	return v;
}

static const char *
http_error(const struct http_result *res, struct buf *text)
{
	struct json_object	*o = NULL;
	const char		*said = "";

	buf_reset(text);
	if (res->err != 0)
		return res->msg.text[0] != '\0' ? res->msg.text :
		    err_text(res->err);
	if (json_parse((const char *)res->body.data, res->body.len, &o,
	    NULL) == 0)
		said = json_string_or(o, "errorMessage", "");
	buf_printf(text, "it answers %d %s", res->status, said);
	json_object_put(o);
	return buf_cstr(text);
}

/* Plan and Current of the database's collections, or NULL and a reason. */
static struct json_object *
read_agency(struct move *v)
{
	static const char	*const tops[] = { "Plan", "Current" };
	struct json_object	*q, *paths, *answer = NULL;
	struct http_result	 res;
	struct buf		 why = BUF_INIT;
	char			 path[640], *body;
	size_t			 i;

	paths = json_object_new_array();
	for (i = 0; i < NITEMS(tops); i++) {
		snprintf(path, sizeof(path), "/arango/%s/Collections/%s",
		    tops[i], v->db);
		json_object_array_add(paths, json_object_new_string(path));
	}
	q = json_object_new_array();
	json_object_array_add(q, paths);
	body = json_to_text(q);
	json_object_put(q);
	if (cmd_http(v->cluster, v->agent, "POST", "/_api/agency/read", body,
	    REQUEST_MS, &res) != 0 || res.status != 200 ||
	    json_parse((const char *)res.body.data, res.body.len, &answer,
	    NULL) != 0) {
		snprintf(v->missing, sizeof(v->missing),
		    "the agency cannot be read: %s", http_error(&res, &why));
		answer = NULL;
	}
	http_result_free(&res);
	buf_free(&why);
	free(body);
	return answer;
}

static struct json_object *
collections(struct json_object *answer, const char *top, const char *db)
{
	struct json_object	*o;

	if (!json_object_is_type(answer, json_type_array))
		return NULL;
	o = member(json_object_array_get_idx(answer, 0), "arango");
	return member(member(member(o, top), "Collections"), db);
}

/* Shards are numbered by the number in their name. */
static int
compare_shards(const void *a, const void *b)
{
	const char	*x = *(const char *const *)a;
	const char	*y = *(const char *const *)b;
	uint64_t	 m, n;

	if (str_to_u64(x + 1, &m) != 0 || str_to_u64(y + 1, &n) != 0)
		return strcmp(x, y);
	return m < n ? -1 : m > n;
}

static int
pick_shard(struct move *v, struct json_object *shards)
{
	const char		**names, *leader;
	struct json_object	 *servers;
	size_t			  n, i = 0;

	n = json_object_is_type(shards, json_type_object) ?
	    (size_t)json_object_object_length(shards) : 0;
	if (v->index >= n) {
		cmd_complain("%s/%s has %zu shards, there is none of index "
		    "%llu", v->db, v->collection, n,
		    (unsigned long long)v->index);
		return 1;
	}
	names = xcalloc(n, sizeof(*names));
	json_object_object_foreach(shards, key, val) {
		(void)val;
		names[i++] = key;
	}
	qsort(names, n, sizeof(*names), compare_shards);
	v->shard = xstrdup(names[v->index]);
	free(names);
	servers = member(shards, v->shard);
	leader = json_string_or(servers, "0", NULL);
	if (leader == NULL) {
		cmd_complain("shard %s has no leader", v->shard);
		return 1;
	}
	/* A leader that is to resign has an underscore in front. */
	v->from = xstrdup(leader[0] == '_' ? leader + 1 : leader);
	return 0;
}

static int
find_shard(struct move *v)
{
	struct json_object	*answer, *all, *found = NULL;
	int			 code;

	if ((answer = read_agency(v)) == NULL) {
		cmd_complain("%s", v->missing);
		return 1;
	}
	all = collections(answer, "Plan", v->db);
	if (all == NULL) {
		cmd_complain("there is no database %s", v->db);
		json_object_put(answer);
		return 1;
	}
	json_object_object_foreach(all, cid, def) {
		if (strcmp(json_string_or(def, "name", ""),
		    v->collection) == 0) {
			found = def;
			v->cid = xstrdup(cid);
			break;
		}
	}
	if (found == NULL) {
		cmd_complain("there is no collection %s in database %s",
		    v->collection, v->db);
		code = 1;
	} else
		code = pick_shard(v, member(found, "shards"));
	json_object_put(answer);
	return code;
}

/* The name of a server by its id: what commands take. */
static const char *
name_of(struct move *v, const char *id)
{
	struct json_object	*list = json_at(v->cluster, "servers"), *o;
	size_t			 i;

	for (i = 0; i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (strcmp(json_string_or(o, "id", ""), id) == 0)
			return json_string_or(o, "name", id);
	}
	return id[0] == '\0' ? "nobody" : id;
}

/* Does Plan, and does Current, have the new leader? */
static bool
is_moved(struct move *v)
{
	struct json_object	*answer, *o;
	const char		*plan, *current;
	bool			 done;

	if ((answer = read_agency(v)) == NULL)
		return false;
	o = member(collections(answer, "Plan", v->db), v->cid);
	plan = json_string_or(member(member(o, "shards"), v->shard), "0", "");
	o = member(collections(answer, "Current", v->db), v->cid);
	current = json_string_or(member(member(o, v->shard), "servers"), "0",
	    "");
	done = strcmp(plan, v->to) == 0 && strcmp(current, v->to) == 0;
	if (!done)
		snprintf(v->missing, sizeof(v->missing), "shard %s is led by "
		    "%s in Plan and by %s in Current", v->shard,
		    name_of(v, plan), name_of(v, current));
	json_object_put(answer);
	return done;
}

/* Give the job to a coordinator that is up. */
static int
request_move(struct move *v)
{
	struct json_object	*list, *o, *job;
	struct http_result	 res;
	struct buf		 why = BUF_INIT;
	char			*body;
	size_t			 i;
	int			 code = 1;

	job = json_object_new_object();
	json_set_string(job, "database", v->db);
	json_set_string(job, "collection", v->collection);
	json_set_string(job, "shard", v->shard);
	json_set_string(job, "fromServer", v->from);
	json_set_string(job, "toServer", v->to);
	body = json_to_text(job);
	json_object_put(job);
	snprintf(v->missing, sizeof(v->missing), "no coordinator is up");
	list = json_at(v->cluster, "servers");
	for (i = 0; code != 0 && i < json_object_array_length(list); i++) {
		o = json_object_array_get_idx(list, i);
		if (strcmp(json_string_or(o, "role", ""), "coordinator") != 0 ||
		    strcmp(json_string_or(o, "state", ""), "up") != 0)
			continue;
		if (cmd_http(v->cluster, json_string_or(o, "endpoint", ""),
		    "POST", "/_admin/cluster/moveShard", body, REQUEST_MS,
		    &res) == 0 && res.status >= 200 && res.status < 300)
			code = 0;
		else
			snprintf(v->missing, sizeof(v->missing), "%s: %s",
			    json_string_or(o, "name", "?"),
			    http_error(&res, &why));
		http_result_free(&res);
	}
	if (code != 0)
		cmd_complain("shard %s cannot be moved: %s", v->shard,
		    v->missing);
	buf_free(&why);
	free(body);
	return code;
}

static void
complain_late(struct move *v)
{
	struct json_object	*now = cmd_cluster(v->dir);
	const char		*state = "up";

	if (now != NULL)
		state = json_string_or(cmd_cluster_server(now, v->to_name),
		    "state", state);
	if (strcmp(state, "up") == 0)
		cmd_complain("not moved after %d s: %s", CMD_WAIT_MS / 1000,
		    v->missing);
	else
		cmd_complain("not moved after %d s: %s, and %s is %s",
		    CMD_WAIT_MS / 1000, v->missing, v->to_name, state);
	json_object_put(now);
}

static int
move(struct move *v)
{
	const struct timespec	 pause = { 0, LOOK_PAUSE_MS * 1000000L };
	uint64_t		 deadline = clock_mono_ms() + CMD_WAIT_MS;
	int			 code;

	if ((code = find_shard(v)) != 0)
		return code;
	if (is_moved(v))
		return 0;
	if (strcmp(v->from, v->to) != 0 && (code = request_move(v)) != 0)
		return code;
	while (!is_moved(v)) {
		if (clock_mono_ms() >= deadline) {
			complain_late(v);
			return 1;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

int
cmd_move_shard(const struct conf *c, void *context)
{
	const char *const	*args = conf_args(c, NULL);
	struct move		 v;
	struct json_object	*to;
	int			 code = 2;

	memset(&v, 0, sizeof(v));
	v.db = args[0];
	v.collection = args[1];
	v.to_name = args[3];
	if (str_to_u64(args[2], &v.index) != 0) {
		cmd_complain("%s is no index of a shard: use 0, 1, ...",
		    args[2]);
		return 2;
	}
	v.dir = conf_string(c, "dir");
	if ((v.cluster = cmd_cluster(v.dir)) == NULL)
		return 1;
	to = cmd_cluster_server(v.cluster, v.to_name);
	if (to == NULL)
		cmd_complain("there is no server %s in this cluster",
		    v.to_name);
	else if (strcmp(json_string_or(to, "role", ""), "dbserver") != 0)
		cmd_complain("%s is not a DB-server", v.to_name);
	else {
		v.to = json_string_or(to, "id", "");
		v.agent = json_string_or(cmd_cluster_server(v.cluster,
		    "agent1"), "endpoint", "");
		code = move(&v);
	}
	json_object_put(v.cluster);
	free(v.cid);
	free(v.shard);
	free(v.from);
	return code;
}
