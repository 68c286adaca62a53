/* jobs.c - requests that are carried out after their answer; see jobs.h */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/err.h"
#include "base/str.h"
#include "sandbox/jobs.h"
#include "sandbox/rpc.h"
#include "sandbox/server_priv.h"

#define LIST_MAX	100	/* ids in a list, unless told */

/* One reference of the server's list, one of the request that runs. */
struct sb_job {
	struct sb_job	*next;
	unsigned	 refs;
	bool		 kept;		/* `store`: it is in the list */
	uint64_t	 id;
	char		*user;
	double		 stamp;		/* of its begin, then of its end */
	bool		 done;
	int		 status;
	char		*type;
	struct buf	 headers;	/* "name: value\n" */
	struct buf	 body;
};

static double
now_seconds(void)
{
	struct timeval	 tv;

	gettimeofday(&tv, NULL);
	return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static void
job_unref(struct sb_job *j)
{
	if (--j->refs > 0)
		return;
	buf_free(&j->headers);
	buf_free(&j->body);
	free(j->user);
	free(j->type);
	free(j);
}

/* ---- life ------------------------------------------------------------- */

static void
job_enter(struct sb_server *s, struct sb_job *j)
{
	struct sb_job	**p = &s->jobs;

	while (*p != NULL)
		p = &(*p)->next;
	*p = j;
	j->kept = true;
	j->refs++;
}

static void
job_remove(struct sb_server *s, struct sb_job *j)
{
	struct sb_job	**p = &s->jobs;

	while (*p != j)
		p = &(*p)->next;
	*p = j->next;
	j->kept = false;
	job_unref(j);
}

int
sb_job_begin(struct sb_req *r)
{
	const struct sb_role	*role = r->server->role;
	const char		*v = sb_req_header(r, "x-arango-async");
	struct sb_job		*j;
	bool			 store;

	if (v == NULL || role->new_id == NULL)
		return 0;
	store = strcmp(v, "store") == 0;
	if (!store && strcmp(v, "true") != 0)
		return 0;
	j = xcalloc(1, sizeof(*j));
	j->refs = 1;
	j->user = xstrdup(r->user);
	j->stamp = now_seconds();
	if (store) {
		if ((j->id = role->new_id(r->server)) == 0) {
			sb_error(r, AE_AGENCY_COMMUNICATION_FAILED, NULL);
			job_unref(j);
			return -1;
		}
		job_enter(r->server, j);
		sb_header(r, "x-arango-async-id", "%" PRIu64, j->id);
	}
	sb_reply_empty(r, 202);
	/* The next answer is the handler's. */
	r->answered = false;
	sb_ctx(r)->job = j;
	return 0;
}

void
sb_job_header(struct sb_job *j, const char *name, const char *value)
{
	buf_printf(&j->headers, "%s: %s\n", name, value);
}

void
sb_job_answer(struct sb_job *j, int status, const char *type,
    struct buf *body)
{
	j->done = true;
	j->stamp = now_seconds();
	j->status = status;
	j->type = type == NULL ? NULL : xstrdup(type);
	if (body != NULL) {
		j->body = *body;
		*body = (struct buf)BUF_INIT;
	}
}

void
sb_job_end(struct sb_job **jp)
{
	if (*jp != NULL)
		job_unref(*jp);
	*jp = NULL;
}

void
sb_jobs_free(struct sb_server *s)
{
	while (s->jobs != NULL)
		job_remove(s, s->jobs);
}

/* ---- /_api/job ---------------------------------------------------------- */

static bool
may_see(const struct sb_req *r, const struct sb_job *j)
{
	return r->superuser || strcmp(j->user, r->user) == 0;
}

/* The job in the path; NULL: answered, maybe by the server that has it. */
static struct sb_job *
job_of(struct sb_req *r)
{
	const struct sb_role	*role = r->server->role;
	struct sb_job		*j;
	const char		*base, *server_id;
	uint64_t		 id;

	if (str_to_u64(r->seg[2], &id) == 0) {
		if (role->owner_of != NULL && (base = role->owner_of(r->server,
		    id, &server_id)) != NULL) {
			sb_forward(r, base, server_id);
			return NULL;
		}
		for (j = r->server->jobs; j != NULL; j = j->next)
			if (j->id == id && may_see(r, j))
				return j;
	}
	sb_error(r, AE_HTTP_NOT_FOUND, NULL);
	return NULL;
}

static void
reply_true(struct sb_req *r)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "result", json_object_new_boolean(1));
	sb_reply_json(r, 200, o);
}

static void
reply_list(struct sb_req *r, bool done)
{
	struct json_object	*list = json_object_new_array();
	struct sb_job		*j;
	uint64_t		 left = sb_param_u64(r, "count", LIST_MAX);
	char			 text[24];

	for (j = r->server->jobs; j != NULL && left > 0; j = j->next) {
		if (j->done != done || !may_see(r, j))
			continue;
		snprintf(text, sizeof(text), "%" PRIu64, j->id);
		json_object_array_add(list, json_object_new_string(text));
		left--;
	}
	sb_reply_json(r, 200, list);
}

static void
get_job(struct sb_req *r)
{
	struct sb_job	*j;

	if (strcmp(r->seg[2], "done") == 0 || strcmp(r->seg[2], "pending") == 0)
		reply_list(r, r->seg[2][0] == 'd');
	else if (r->seg[2][0] < '1' || r->seg[2][0] > '9')
		sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
	else if ((j = job_of(r)) != NULL)
		sb_reply_empty(r, j->done ? 200 : 204);
}

/* The answer of the job, once. */
static void
put_job(struct sb_req *r)
{
	struct sb_job	*j = job_of(r);
	char		*line, *rest, *colon;

	if (j == NULL)
		return;
	if (!j->done) {
		sb_reply_empty(r, 204);
		return;
	}
	rest = (char *)(uintptr_t)buf_cstr(&j->headers);
	while ((line = strsep(&rest, "\n")) != NULL)
		if ((colon = strstr(line, ": ")) != NULL) {
			*colon = '\0';
			sb_header(r, line, "%s", colon + 2);
		}
	sb_header(r, "x-arango-async-id", "%" PRIu64, j->id);
	sb_reply_raw(r, j->status, j->type, &j->body);
	job_remove(r->server, j);
}

/* What runs here cannot be stopped; arangod promises no more than to try. */
static void
put_cancel(struct sb_req *r)
{
	if (job_of(r) != NULL)
		reply_true(r);
}

static void
delete_job(struct sb_req *r)
{
	struct sb_job	*j, *next;
	const char	*stamp = sb_param(r, "stamp");
	bool		 all = strcmp(r->seg[2], "all") == 0;

	if (!all && strcmp(r->seg[2], "expired") != 0) {
		if ((j = job_of(r)) != NULL) {
			job_remove(r->server, j);
			reply_true(r);
		}
		return;
	}
	if (!all && stamp == NULL) {
		sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
		return;
	}
	for (j = r->server->jobs; j != NULL; j = next) {
		next = j->next;
		if (may_see(r, j) && (all || j->stamp < strtod(stamp, NULL)))
			job_remove(r->server, j);
	}
	reply_true(r);
}

static void
wrong(struct sb_req *r)
{
	sb_error(r, AE_HTTP_BAD_PARAMETER, NULL);
}

const struct sb_route	 sb_job_routes[] = {
	{ SB_GET, "/_api/job/*", 0, get_job },
	{ SB_PUT, "/_api/job/*", 0, put_job },
	{ SB_DELETE, "/_api/job/*", 0, delete_job },
	{ SB_PUT, "/_api/job/*/cancel", 0, put_cancel },
	{ SB_GET | SB_PUT | SB_DELETE, "/_api/job", 0, wrong },
	{ SB_GET | SB_PUT | SB_DELETE, "/_api/job/**", 0, wrong },
	{ 0, NULL, 0, NULL }
};
