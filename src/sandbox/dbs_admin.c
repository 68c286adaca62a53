/*
 * dbs_admin.c - /_admin/server/mode and other small things of a DB-server, and
 * helpers for its handlers.  Facts: RestAdminServerHandler.cpp,
 * HeartbeatThread.cpp.
 */
#include <string.h>

#include <json-c/json.h>

#include "base/err.h"
#include "base/str.h"
#include "sandbox/dbs.h"

/* ---- helpers --------------------------------------------------------- */

void
dbs_error(struct sb_req *r, int errnum, const char *shard)
{
	if (errnum < 0)
		sb_error(r, AE_INTERNAL, NULL);
	else if (errnum == AE_DATA_SOURCE_NOT_FOUND && shard != NULL)
		sb_error(r, errnum, "%s: %s", arango_error_text(errnum),
		    shard);
	else if (errnum == AE_READ_ONLY)
		sb_error(r, errnum, "collection is read-only");
	else
		sb_error(r, errnum, NULL);
}

struct dbs_shard *
dbs_req_shard(struct sb_req *r, const char *name)
{
	struct dbs		*d = dbs_of(r);
	struct store_shard	*sh;
	struct dbs_shard	*s;
	uint64_t		 id;

	if ((s = dbs_shard_find(d, r->db, name)) != NULL)
		return s;
	if (str_to_u64(name, &id) == 0 &&
	    (sh = store_shard_by_id(d->store, id)) != NULL &&
	    strcmp(sh->db->name, r->db) == 0)
		return dbs_shard_of(d, sh);
	dbs_error(r, AE_DATA_SOURCE_NOT_FOUND, name);
	return NULL;
}

int
dbs_body_object(struct sb_req *r, struct buf *b)
{
	if (sb_body_vpack(r, b) != 0)
		return -1;
	if (vp_is_object(b->data))
		return 0;
	buf_free(b);
	sb_error(r, AE_HTTP_BAD_PARAMETER, "body must be an object");
	return -1;
}

/* ---- read-only mode -------------------------------------------------- */

static void
reply_mode(struct sb_req *r, bool readonly)
{
	struct json_object	*o = json_object_new_object();

	json_object_object_add(o, "mode",
	    json_object_new_string(readonly ? "readonly" : "default"));
	sb_reply_ok(r, 200, o);
}

static void
get_mode(struct sb_req *r)
{
	reply_mode(r, cluster_is_readonly(dbs_of(r)->cluster));
}

static void
put_mode(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct json_object	*body, *o;
	struct agency_trx	 t;
	const char		*mode = "";
	uint64_t		 index = 0, end;
	bool			 readonly;

	if ((body = sb_body_json(r, false)) == NULL)
		return;
	if (json_object_object_get_ex(body, "mode", &o) &&
	    json_object_is_type(o, json_type_string))
		mode = json_object_get_string(o);
	readonly = strcmp(mode, "readonly") == 0;
	if (!readonly && strcmp(mode, "default") != 0) {
		json_object_put(body);
		sb_error(r, AE_HTTP_BAD_PARAMETER,
		    "mode invalid, must be one of default or readonly");
		return;
	}
	json_object_put(body);
	agency_trx_init(&t);
	agency_set(&t, json_object_new_boolean(readonly), "/arango/Readonly");
	end = loop_now_ms(d->loop) + 10000;
	if (agency_commit(d->agency, &t, end, &index) != 0 ||
	    agency_wait_index(d->agency, index, end) != 0) {
		sb_error_status(r, 400, AE_HTTP_SERVER_ERROR,
		    "couldn't set requested mode");
		return;
	}
	reply_mode(r, readonly);
}

const struct sb_route dbs_admin_routes[] = {
	{ SB_GET, "/_admin/server/mode", 0, get_mode },
	{ SB_PUT, "/_admin/server/mode", SB_ADMIN, put_mode },
	{ 0 }
};
