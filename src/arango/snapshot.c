/* snapshot.c - batches of a DB-server and their renewal; see snapshot.h */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arango/conn.h"
#include "arango/snapshot_priv.h"
#include "base/buf.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"

#define BATCH_PATH	"/_api/replication/batch"
#define OPEN_RETRY_MS	5000
#define RENEW_AGAIN_MS	1000	/* when a renewal failed */

static int
renew(struct arango_snapshot *s)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	char			*path, *body;
	int			 r;

	path = xasprintf(BATCH_PATH "/%s", s->id);
	body = xasprintf("{\"ttl\":%" PRIu32 "}", s->o.ttl_s);
	req.to = s->o.server;
	req.method = "PUT";
	req.db = s->db;
	req.path = path;
	req.body = body;
	req.len = strlen(body);
	req.timeout_ms = s->o.ttl_s * 500;
	req.cancel = &s->stop;
	req.repeatable = true;
	r = arango_call(s->o.cluster, &req, &ans);
	if (r != 0 && (ans.status == 404 || ans.num == AERR_CURSOR_NOT_FOUND))
		s->lost = true;
	arango_answer_free(&ans);
	free(path);
	free(body);
	return r;
}

static void
delete_batch(struct arango_snapshot *s)
{
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	char			*path = xasprintf(BATCH_PATH "/%s", s->id);

	req.to = s->o.server;
	req.method = "DELETE";
	req.db = s->db;
	req.path = path;
	req.timeout_ms = 10 * 1000;
	req.repeatable = true;
	/* When it fails, the server drops it a ttl later. */
	arango_call(s->o.cluster, &req, &ans);
	arango_answer_free(&ans);
	free(path);
}

/* Lives as long as the snapshot, and tidies up after it. */
static void
keep_alive(void *arg)
{
	struct arango_snapshot	*s = arg;
	struct loop		*loop = arango_loop(s->o.cluster);
	uint64_t		 good = loop_now_ms(loop);
	uint64_t		 ttl_ms = (uint64_t)s->o.ttl_s * 1000;
	uint64_t		 pause = ttl_ms / 4;

	while (!s->closed) {
		if (s->lost)
			pause = ttl_ms;
		arango_sleep(&s->stop, pause);
		if (s->closed || s->lost)
			continue;
		if (renew(s) == 0) {
			good = loop_now_ms(loop);
			pause = ttl_ms / 4;
			continue;
		}
		pause = MIN(RENEW_AGAIN_MS, ttl_ms / 4);
		if (loop_now_ms(loop) - good >= ttl_ms)
			s->lost = true;
	}
	if (!s->lost)
		delete_batch(s);
	free(s->id);
	free(s->db);
	free(s);
}

static int
read_batch(struct arango_answer *ans, struct arango_snapshot *s)
{
	struct json_object	*o;
	const char		*id;
	int			 r;

	if ((r = arango_answer_json(ans, &o)) != 0)
		return r;
	if ((r = json_need_string(o, "id", &id, &ans->msg)) == 0 &&
	    (r = json_need_id(o, "lastTick", &s->tick, &ans->msg)) == 0)
		s->id = url_encode(id);
	json_object_put(o);
	return r;
}

int
arango_snapshot_open(const struct arango_snapshot_opts *o,
    struct arango_snapshot **out, struct err_msg *m)
{
	struct arango_snapshot	*s = xcalloc(1, sizeof(*s));
	struct arango_req	 req = ARANGO_REQ_INIT;
	struct arango_answer	 ans;
	struct buf		 path = BUF_INIT;
	char			*body;
	int			 r;

	s->o = *o;
	s->o.ttl_s = MAX(o->ttl_s, 4);
	s->db = xstrdup(o->db);
	buf_append_str(&path, BATCH_PATH "?clientInfo=arangosync");
	if (o->syncer_id != 0)
		buf_printf(&path, "&syncerId=%" PRIu64 "&serverId=%" PRIu64,
		    o->syncer_id, o->syncer_id);
	body = xasprintf("{\"ttl\":%" PRIu32 "}", s->o.ttl_s);
	req.to = o->server;
	req.method = "POST";
	req.db = s->db;
	req.path = buf_cstr(&path);
	req.body = body;
	req.len = strlen(body);
	req.retry_ms = OPEN_RETRY_MS;
	req.repeatable = true;	/* one too many ends by itself */
	req.cancel = o->cancel;
	r = arango_call(o->cluster, &req, &ans);
	if (r == 0)
		r = read_batch(&ans, s);
	if (r != 0 && m != NULL)
		*m = ans.msg;
	arango_answer_free(&ans);
	buf_free(&path);
	free(body);
	if (r != 0) {
		free(s->db);
		free(s);
		return r;
	}
	fiber_spawn(arango_loop(o->cluster), keep_alive, s);
	*out = s;
	return 0;
}

uint64_t
arango_snapshot_tick(const struct arango_snapshot *s)
{
	return s->tick;
}

const char *
arango_snapshot_id(const struct arango_snapshot *s)
{
	return s->id;
}

struct arango_server *
arango_snapshot_server(const struct arango_snapshot *s)
{
	return s->o.server;
}

bool
arango_snapshot_is_lost(const struct arango_snapshot *s)
{
	return s->lost;
}

void
arango_snapshot_close(struct arango_snapshot **sp)
{
	struct arango_snapshot	*s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	s->closed = true;
	arango_cancel(&s->stop);
}
