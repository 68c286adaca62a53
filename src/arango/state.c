/* state.c - versions, modes, health, and what still writes; see structure.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <json-c/linkhash.h>

#include "arango/conn.h"
#include "arango/structure.h"
#include "base/str.h"
#include "json/get.h"

#define RETRY_MS	(30 * 1000)

/* ---- version ------------------------------------------------------------ */

static int
take_number(const char **p, int *n)
{
	*n = 0;
	if (**p < '0' || **p > '9')
		return ERR_FORMAT;
	for (; **p >= '0' && **p <= '9'; (*p)++) {
		if (*n > 100000)
			return ERR_FORMAT;
		*n = *n * 10 + (**p - '0');
	}
	return 0;
}

int
arango_version_parse(const char *text, struct arango_version *v)
{
	const char	*p = text;

	memset(v, 0, sizeof(*v));
	if (str_copy(v->text, sizeof(v->text), text) != 0 ||
	    take_number(&p, &v->major) != 0 || *p++ != '.' ||
	    take_number(&p, &v->minor) != 0)
		return ERR_FORMAT;
	/* "3.12" and "3.12.0-rc.1" are versions, too. */
	if (*p == '.') {
		p++;
		if (take_number(&p, &v->patch) != 0)
			return ERR_FORMAT;
	}
	return *p == '\0' || *p == '-' || *p == '+' || *p == '.' ? 0 :
	    ERR_FORMAT;
}

static bool
at_least(const struct arango_version *v, int major, int minor, int patch)
{
	if (v->major != major)
		return v->major > major;
	if (v->minor != minor)
		return v->minor > minor;
	return v->patch >= patch;
}

int
arango_version(struct arango *a, struct arango_server *to,
    struct arango_version *v, struct err_msg *m)
{
	struct json_object	*o;
	const char		*text;
	int			 r;

	r = arango_json(a, to, "GET", NULL, "/_api/version", NULL, RETRY_MS,
	    &o, NULL, m);
	if (r != 0)
		return r;
	if ((r = json_need_string(o, "version", &text, m)) == 0 &&
	    (r = arango_version_parse(text, v)) != 0)
		err_set(m, r, "%s: \"%.60s\" is no version", arango_name(a),
		    text);
	if (r == 0) {
		v->enterprise = strcmp(json_string_or(o, "license", ""),
		    "enterprise") == 0;
		/* From then on Community has all of it. */
		v->features = v->enterprise || at_least(v, 3, 12, 5);
	}
	json_object_put(o);
	return r;
}

int
arango_server_role(struct arango *a, struct arango_server *to, char role[32],
    struct err_msg *m)
{
	struct json_object	*o;
	const char		*s;
	int			 r;

	r = arango_json(a, to, "GET", NULL, "/_admin/server/role", NULL, 0, &o,
	    NULL, m);
	if (r != 0)
		return r;
	if ((r = json_need_string(o, "role", &s, m)) == 0 &&
	    str_copy(role, 32, s) != 0)
		r = err_set(m, ERR_FORMAT, "%s: unknown role %.40s",
		    arango_name(a), s);
	json_object_put(o);
	return r;
}

/* ---- health ------------------------------------------------------------- */

int
arango_health(struct arango *a, struct json_object **health,
    struct err_msg *m)
{
	return arango_json(a, NULL, "GET", NULL, "/_admin/cluster/health",
	    NULL, RETRY_MS, health, NULL, m);
}

int
arango_discover(struct arango *a, char **cluster_id, struct err_msg *m)
{
	struct json_object	*o, *list;
	const char		*id, *endpoint;
	int			 r;

	if ((r = arango_health(a, &o, m)) != 0)
		return r;
	if ((r = json_need_string(o, "ClusterId", &id, m)) == 0 &&
	    (r = json_need_object(o, "Health", &list, m)) == 0) {
		json_object_object_foreach(list, server, v) {
			endpoint = json_string_or(v, "Endpoint", "");
			if (*endpoint != '\0')
				arango_server_put(a, server, ARANGO_OTHER_ROLE,
				    endpoint, NULL, NULL);
		}
		if (cluster_id != NULL)
			*cluster_id = xstrdup(id);
	}
	json_object_put(o);
	return r;
}

/* ---- modes -------------------------------------------------------------- */

int
arango_mode_get(struct arango *a, struct arango_server *to, bool *readonly,
    struct err_msg *m)
{
	struct json_object	*o;
	const char		*mode;
	int			 r;

	r = arango_json(a, to, "GET", NULL, "/_admin/server/mode", NULL,
	    to == NULL ? RETRY_MS : 0, &o, NULL, m);
	if (r != 0)
		return r;
	if ((r = json_need_string(o, "mode", &mode, m)) == 0) {
		*readonly = strcmp(mode, "readonly") == 0;
		if (!*readonly && strcmp(mode, "default") != 0)
			r = err_set(m, ERR_FORMAT, "%s: unknown server mode "
			    "%.40s", arango_name(a), mode);
	}
	json_object_put(o);
	return r;
}

int
arango_mode_set(struct arango *a, bool readonly, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	int			 r;

	req.method = "PUT";
	req.path = "/_admin/server/mode";
	req.body = readonly ? "{\"mode\":\"readonly\"}" :
	    "{\"mode\":\"default\"}";
	req.len = strlen(req.body);
	req.retry_ms = RETRY_MS;
	req.repeatable = true;
	r = arango_call(a, &req, &ans);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}

static int
ttl_call(struct arango *a, struct arango_server *to, const char *body,
    bool *active, struct err_msg *m)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct json_object	*o;
	int			 r;

	req.to = to;
	req.method = body == NULL ? "GET" : "PUT";
	req.db = "_system";
	req.path = "/_api/ttl/properties";
	req.body = body;
	req.len = body == NULL ? 0 : strlen(body);
	req.retry_ms = RETRY_MS;
	req.repeatable = true;
	/* Switching off waits for a run that has begun. */
	req.timeout_ms = ARANGO_TIMEOUT_READ_MS;
	r = arango_call(a, &req, &ans);
	if (r == 0 && (r = arango_answer_json(&ans, &o)) == 0) {
		r = json_need_bool(o, "result.active", active, &ans.msg);
		json_object_put(o);
	}
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	return r;
}

int
arango_ttl_get(struct arango *a, struct arango_server *to, bool *active,
    struct err_msg *m)
{
	return ttl_call(a, to, NULL, active, m);
}

int
arango_ttl_set(struct arango *a, struct arango_server *to, bool active,
    struct err_msg *m)
{
	bool	 now;
	int	 r;

	r = ttl_call(a, to, active ? "{\"active\":true}" :
	    "{\"active\":false}", &now, m);
	if (r == 0 && now != active)
		r = err_set(m, ERR_BAD_STATE, "%s: the TTL switch of %s does "
		    "not move", arango_name(a), to->id);
	return r;
}

/* ---- what still writes -------------------------------------------------- */

static void
note(struct err_msg *what, size_t *n, const char *text)
{
	size_t	 len;

	(*n)++;
	if (what == NULL)
		return;
	len = strlen(what->text);
	if (len + strlen(text) + 3 < sizeof(what->text))
		snprintf(what->text + len, sizeof(what->text) - len, "%s%s",
		    len == 0 ? "" : ", ", text);
}

static int
transactions_of(struct arango *a, const char *db, size_t *count,
    struct err_msg *what, struct err_msg *m)
{
	struct json_object	*o, *list, *v;
	size_t			 i, n;
	int			 r;

	r = arango_json(a, NULL, "GET", db, "/_api/transaction", NULL,
	    RETRY_MS, &o, NULL, m);
	if (r != 0)
		return r;
	if ((r = json_need_array(o, "transactions", &list, m)) == 0) {
		n = json_object_array_length(list);
		for (i = 0; i < n; i++) {
			v = json_object_array_get_idx(list, i);
			if (strcmp(json_string_or(v, "state", "running"),
			    "running") == 0)
				note(what, count, json_string_or(v, "id",
				    "?"));
		}
	}
	json_object_put(o);
	return r;
}

int
arango_transactions(struct arango *a, const char *const *dbs, size_t *count,
    struct err_msg *what, struct err_msg *m)
{
	int	 r = 0;

	*count = 0;
	if (what != NULL)
		what->text[0] = '\0';
	for (; r == 0 && *dbs != NULL; dbs++)
		r = transactions_of(a, *dbs, count, what, m);
	return r;
}

/* Does the text have one of the words that write, in any case, anywhere? */
static bool
may_write(const char *q)
{
	static const char *const words[] = { "INSERT", "UPDATE", "REPLACE",
	    "REMOVE", "UPSERT", NULL };
	const char *const	*w;

	for (w = words; *w != NULL; w++)
		if (strcasestr(q, *w) != NULL)
			return true;
	return false;
}

int
arango_writing_queries(struct arango *a, size_t *count, struct err_msg *what,
    struct err_msg *m)
{
	struct json_object	*o, *v, *flag;
	size_t			 i, n;
	bool			 writes;
	int			 r;

	*count = 0;
	if (what != NULL)
		what->text[0] = '\0';
	r = arango_json(a, NULL, "GET", "_system",
	    "/_api/query/current?all=true", NULL, RETRY_MS, &o, NULL, m);
	if (r != 0)
		return r;
	if (!json_object_is_type(o, json_type_array)) {
		json_object_put(o);
		return err_set(m, ERR_FORMAT, "%s: the list of queries is no "
		    "list", arango_name(a));
	}
	n = json_object_array_length(o);
	for (i = 0; i < n; i++) {
		v = json_object_array_get_idx(o, i);
		/* 3.12 says it; before that only the text does. */
		writes = json_object_is_type(v, json_type_object) &&
		    json_object_object_get_ex(v, "modificationQuery", &flag) ?
		    json_object_get_boolean(flag) :
		    may_write(json_string_or(v, "query", "INSERT"));
		if (writes)
			note(what, count, json_string_or(v, "id", "?"));
	}
	json_object_put(o);
	return 0;
}
