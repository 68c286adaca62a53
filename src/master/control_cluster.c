/*
 * control_cluster.c - is this the cluster that we belong to?
 *
 * What cannot get better by waiting (a server that is no coordinator, a secret
 * that is refused, a data directory of another cluster) ends the daemon, as
 * long as it never worked with what it was given.  Later, or when there is
 * just no answer, it is told and tried again: a secret may be on its way
 * through the cluster, and masters are started before their cluster is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsx.h"
#include "base/str.h"
#include "json/get.h"
#include "master/control.h"

#define ROLE_TIMEOUT_MS		10000
#define CLUSTER_ID_MAX_BYTES	63

/* 0; ERR_USAGE: it will never be; others: not now. */
static int
check_role(struct control *c, struct arango_server *s, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct json_object	*o = NULL;
	const char		*role = "";
	int			 r;

	req.to = s;
	req.path = "/_admin/server/role";
	req.timeout_ms = ROLE_TIMEOUT_MS;
	req.max_body = 65536;
	req.cancel = &c->cancel;
	r = arango_call(c->cluster, &req, &ans);
	if (r == 0 && (r = arango_answer_json(&ans, &o)) == 0)
		role = json_string_or(o, "role", "");
	if (r == ERR_DENIED && c->secret.len != 0)
		r = err_set(m, ERR_USAGE, "--cluster.jwt-secret %s: %s does "
		    "not take this secret (401)", c->conf->cluster_jwt_file,
		    s->url);
	else if (r == ERR_DENIED)
		r = err_set(m, ERR_USAGE, "--cluster.endpoint %s: it wants "
		    "credentials (401); give --cluster.jwt-secret", s->url);
	else if (r != 0)
		*m = ans.msg;
	else if (strcmp(role, "COORDINATOR") == 0)
		r = 0;
	else if (*role == '\0' || strcmp(role, "UNDEFINED") == 0)
		r = err_set(m, ERR_BAD_STATE, "--cluster.endpoint %s: it does "
		    "not say that it is a coordinator", s->url);
	else
		r = err_set(m, ERR_USAGE, "--cluster.endpoint %s: this is no "
		    "coordinator of a cluster, it says %.20s", s->url, role);
	json_object_put(o);
	arango_answer_free(&ans);
	return r;
}

/* One of those that were given is a coordinator and lets us in. */
static int
check_endpoints(struct control *c, struct err_msg *m)
{
	struct arango_server	*s;
	size_t			 i;
	int			 r = ERR_NOT_FOUND;

	for (i = 0; (s = arango_server_at(c->cluster, i)) != NULL; i++)
		if (s->role == ARANGO_COORDINATOR &&
		    ((r = check_role(c, s, m)) == 0 || r == ERR_USAGE))
			break;
	return r;
}

/* The data directory remembers whose data it holds. */
static int
check_id(struct control *c, const char *id, struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	char		*path;
	int		 r;

	path = xasprintf("%s/cluster-id", c->conf->data_dir);
	r = fsx_read_file(path, CLUSTER_ID_MAX_BYTES, &b);
	if (r == -ENOENT)
		r = fsx_replace(path, id, strlen(id), 0600);
	else if (r == 0 && strcmp(buf_cstr(&b), id) != 0)
		r = err_set(m, ERR_USAGE, "data directory %s: it belongs to "
		    "cluster %s, and this one is %s; give another --data.dir",
		    c->conf->data_dir, buf_cstr(&b), id);
	if (r != 0 && r != ERR_USAGE)
		err_set(m, r, "%s: %s", path, err_text(r));
	buf_free(&b);
	free(path);
	return r;
}

int
control_check_cluster(struct control *c, struct err_msg *m)
{
	struct json_object	*o = NULL;
	const char		*id;
	int			 r;

	if ((r = check_endpoints(c, m)) != 0 || (r = arango_agency_get(
	    c->agency, "/arango/Cluster", &o, m)) != 0)
		return r;
	id = json_object_is_type(o, json_type_string) ?
	    json_object_get_string(o) : "";
	if (*id == '\0' || strlen(id) > CLUSTER_ID_MAX_BYTES)
		r = err_set(m, ERR_BAD_STATE, "the agency does not say which "
		    "cluster this is");
	else if ((r = check_id(c, id, m)) == 0)
		str_copy(c->cluster_id, sizeof(c->cluster_id), id);
	json_object_put(o);
	return r;
}
