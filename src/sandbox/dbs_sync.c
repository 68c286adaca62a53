/*
 * dbs_sync.c - how a follower becomes like its leader.
 *
 * The follower begins a session under a number of its choice (epoch).  The
 * leader takes a snapshot and, in the same moment, begins to send all writes
 * of the shard; the follower executes them and remembers their keys.  Then it
 * compares keys and revisions with the snapshot, in two passes, for all keys
 * that no write has touched meanwhile:
 *
 *	1. remove what is surplus or different,
 *	2. fetch what is missing.
 *
 * The order matters: two keys of different times may carry the same revision,
 * and documents are stored by revision, so removing the old one last would
 * take the new one's body along.  In the end the leader counts it in, makes
 * sure that everything answered before has arrived, and enters it into
 * Current.
 *
 * Requests to the leader, VelocyPack both ways, all POST:
 *	/_db/<db>/_internal/sync/start	{shard,server,epoch} -> {snap}
 *	.../keys	{shard,snap,after} -> {keys:[key,rev,..],more}
 *	.../docs	{shard,snap,keys:[..]} -> {docs:[..],done}
 *	.../finish	{shard,server,epoch,snap} -> {index}
 *	.../cancel	{shard,server,epoch,snap} -> {}
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/random.h"
#include "sandbox/dbs.h"

#define SYNC_SNAP_MS		(300 * 1000)
#define SYNC_KEYS		10000		/* per page */
#define SYNC_DOCS_BYTES		((size_t)16 << 20)
#define SYNC_CALL_MS		60000
#define SYNC_PASSES		8

/* ---- the leader's side ----------------------------------------------- */

static uint64_t
get_u64(const uint8_t *o, const char *name)
{
	const uint8_t	*v = vp_get(o, name);
	uint64_t	 n;

	return v != NULL && vp_get_uint(v, &n) == 0 ? n : 0;
}

/* Body and shard of a request; NULL: answered, and *body is free. */
static struct dbs_shard *
sync_request(struct sb_req *r, struct buf *body, char *server, size_t size)
{
	const char		*name;
	size_t			 len;
	char			 shard[256];
	struct dbs_shard	*s;

	if (dbs_body_object(r, body) != 0)
		return NULL;
	name = vp_get_string(vp_get(body->data, "shard"), &len);
	snprintf(shard, sizeof(shard), "%.*s", name == NULL ? 0 : (int)len,
	    name == NULL ? "" : name);
	if (server != NULL) {
		name = vp_get_string(vp_get(body->data, "server"), &len);
		snprintf(server, size, "%.*s", name == NULL ? 0 : (int)len,
		    name == NULL ? "" : name);
	}
	if ((s = dbs_req_shard(r, shard)) == NULL)
		buf_free(body);
	return s;
}

static struct store_snap *
sync_snap(struct sb_req *r, const struct buf *body)
{
	struct dbs		*d = dbs_of(r);
	struct store_snap	*snap;

	snap = store_snap_find(d->store, get_u64(body->data, "snap"));
	if (snap == NULL) {
		sb_error(r, AE_CURSOR_NOT_FOUND, NULL);
		return NULL;
	}
	store_snap_extend(d->store, snap, SYNC_SNAP_MS);
	return snap;
}

static void
post_start(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct buf		 body = BUF_INIT, out = BUF_INIT;
	struct dbs_shard	*s;
	struct store_snap	*snap;
	struct vp_builder	 b;
	char			 server[128];
	uint64_t		 epoch;
	int			 e;

	if ((s = sync_request(r, &body, server, sizeof(server))) == NULL)
		return;
	epoch = get_u64(body.data, "epoch");
	buf_free(&body);
	s = dbs_shard_ref(s);
	e = epoch == 0 || server[0] == '\0' || strcmp(server, d->id) == 0 ?
	    AE_BAD_PARAMETER : dbs_follower_begin(s, server, epoch);
	/* Nothing may wait between the two. */
	if (e == AE_OK && store_snap_create(d->store, SYNC_SNAP_MS, &snap) != 0)
		dbs_storage_failed(d);
	if (e != AE_OK) {
		dbs_error(r, e, s->name);
		dbs_shard_unref(&s);
		return;
	}
	dbs_shard_unref(&s);
	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_add_uint(&b, "snap", store_snap_id(snap));
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	sb_reply_vpack(r, 200, &out);
}

static void
post_keys(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct buf		 body = BUF_INIT, out = BUF_INIT;
	struct dbs_shard	*s;
	struct store_snap	*snap;
	struct store_scan	*scan = NULL;
	struct store_row	 row;
	struct vp_builder	 b;
	const char		*after;
	size_t			 alen, n = 0;
	int			 got = 0;

	if ((s = sync_request(r, &body, NULL, 0)) == NULL)
		return;
	if ((snap = sync_snap(r, &body)) == NULL)
		goto out;
	if (store_scan_new(d->store, s->sh, STORE_BY_KEY, snap, NULL, &scan) !=
	    0) {
		sb_error(r, AE_DATA_SOURCE_NOT_FOUND, NULL);
		goto out;
	}
	if ((after = vp_get_string(vp_get(body.data, "after"), &alen)) != NULL)
		store_scan_seek_key(scan, after, alen);
	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_add_array(&b, "keys");
	while (n < SYNC_KEYS &&
	    (got = store_scan_next(scan, false, &row)) == 1) {
		if (after != NULL && row.klen == alen &&
		    memcmp(row.key, after, alen) == 0)
			continue;
		vpb_string(&b, row.key, row.klen);
		vpb_uint(&b, row.rev);
		n++;
	}
	vpb_close(&b);
	vpb_add_bool(&b, "more", got == 1);
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	store_scan_free(&scan);
	if (got < 0 || got > 1)
		sb_error(r, AE_INTERNAL, NULL);
	else
		sb_reply_vpack(r, 200, &out);
	buf_free(&out);
out:
	buf_free(&body);
}

static void
post_docs(struct sb_req *r)
{
	struct dbs		*d = dbs_of(r);
	struct buf		 body = BUF_INIT, out = BUF_INIT;
	struct dbs_shard	*s;
	struct store_snap	*snap;
	struct vp_builder	 b;
	struct vp_iter		 it;
	const uint8_t		*v, *doc;
	const char		*key;
	size_t			 klen;
	uint64_t		 done = 0, rev;

	if ((s = sync_request(r, &body, NULL, 0)) == NULL)
		return;
	if ((snap = sync_snap(r, &body)) == NULL) {
		buf_free(&body);
		return;
	}
	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_add_array(&b, "docs");
	vp_arr_iter(&it, vp_get(body.data, "keys") != NULL ?
	    vp_get(body.data, "keys") : vp_empty_array);
	while (out.len < SYNC_DOCS_BYTES && (v = vp_arr_next(&it)) != NULL) {
		done++;
		if ((key = vp_get_string(v, &klen)) != NULL &&
		    store_snap_get(d->store, snap, s->sh, key, klen, &doc,
		    &rev) == 0)
			vpb_slice(&b, doc);
	}
	vpb_close(&b);
	vpb_add_uint(&b, "done", done);
	vpb_close(&b);
	if (vpb_end(&b) != 0)
		sb_error(r, AE_INTERNAL, NULL);
	else
		sb_reply_vpack(r, 200, &out);
	vpb_free(&b);
	buf_free(&out);
	buf_free(&body);
}

static void
end_session(struct sb_req *r, bool join)
{
	struct dbs		*d = dbs_of(r);
	struct buf		 body = BUF_INIT, out = BUF_INIT;
	struct dbs_shard	*s;
	struct store_snap	*snap;
	struct vp_builder	 b;
	char			 server[128];
	uint64_t		 epoch, index = 0;
	int			 e = AE_OK;

	if ((s = sync_request(r, &body, server, sizeof(server))) == NULL)
		return;
	epoch = get_u64(body.data, "epoch");
	snap = store_snap_find(d->store, get_u64(body.data, "snap"));
	buf_free(&body);
	if (snap != NULL)
		store_snap_delete(d->store, snap);
	s = dbs_shard_ref(s);
	if (join)
		e = dbs_follower_join(s, server, epoch, &index);
	if (!join || e != AE_OK)
		dbs_follower_fail(s, server, epoch, NULL);
	if (e != AE_OK) {
		dbs_error(r, e, s->name);
		dbs_shard_unref(&s);
		return;
	}
	dbs_shard_unref(&s);
	vpb_init(&b, &out);
	vpb_open_object(&b);
	vpb_add_uint(&b, "index", index);
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	sb_reply_vpack(r, 200, &out);
}

static void
post_finish(struct sb_req *r)
{
	end_session(r, true);
}

static void
post_cancel(struct sb_req *r)
{
	end_session(r, false);
}

const struct sb_route dbs_sync_routes[] = {
	{ SB_POST, "/_internal/sync/start", SB_SUPERUSER, post_start },
	{ SB_POST, "/_internal/sync/keys", SB_SUPERUSER, post_keys },
	{ SB_POST, "/_internal/sync/docs", SB_SUPERUSER, post_docs },
	{ SB_POST, "/_internal/sync/finish", SB_SUPERUSER, post_finish },
	{ SB_POST, "/_internal/sync/cancel", SB_SUPERUSER, post_cancel },
	{ 0 }
};

/* ---- the follower's side --------------------------------------------- */

struct sync {
	struct dbs		*d;
	struct dbs_shard	*s;
	char			*leader;
	uint64_t		 epoch;
	uint64_t		 snap;
	struct sb_resp		 resp;
	const uint8_t		*answer;	/* in resp */
	uint64_t		 removed, fetched;
	bool			 again;		/* removed what it must fetch */
};

/* Does the session still exist? */
static bool
sync_alive(const struct sync *sy)
{
	return sy->s->sh != NULL && sy->s->epoch == sy->epoch &&
	    !sy->d->stopping;
}

/* One request; 0 and sy->answer, or negative.  after, keys may be NULL. */
static int
sync_call(struct sync *sy, const char *what, const struct buf *after,
    const struct buf *keys)
{
	struct buf		 body = BUF_INIT;
	struct vp_builder	 b;
	const char		*url;
	char			 path[512];
	int			 status;

	sb_resp_free(&sy->resp);
	sy->resp = (struct sb_resp)SB_RESP_INIT;
	sy->answer = NULL;
	vpb_init(&b, &body);
	vpb_open_object(&b);
	vpb_add_str(&b, "shard", sy->s->name);
	vpb_add_str(&b, "server", sy->d->id);
	vpb_add_uint(&b, "epoch", sy->epoch);
	if (sy->snap != 0)
		vpb_add_uint(&b, "snap", sy->snap);
	if (after != NULL && after->len > 0)
		vpb_add_string(&b, "after", (const char *)after->data,
		    after->len);
	if (keys != NULL)
		vpb_add_slice(&b, "keys", keys->data);
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	snprintf(path, sizeof(path), "/_db/%s/_internal/sync/%s",
	    sb_encode(sy->s->db), what);
	if ((url = cluster_url(sy->d->cluster, sy->leader)) == NULL) {
		buf_free(&body);
		return ERR_NOT_FOUND;
	}
	status = sb_call(sy->d->server, url, "POST", path, NULL, body.data,
	    body.len, SB_CALL_VPACK_BODY | SB_CALL_VPACK_ANSWER, SYNC_CALL_MS,
	    &sy->resp);
	buf_free(&body);
	if (status != 200 || sy->resp.body.len == 0 ||
	    vp_validate(sy->resp.body.data, sy->resp.body.len, NULL) != 0 ||
	    !vp_is_object(sy->resp.body.data))
		return ERR_PROTOCOL;
	sy->answer = sy->resp.body.data;
	return 0;
}

/* A list of keys: length:2 bytes, each. */
static void
list_put(struct buf *list, const char *key, size_t klen)
{
	uint16_t	 n = (uint16_t)klen;

	buf_append(list, &n, sizeof(n));
	buf_append(list, key, klen);
}

static void
remove_list(struct sync *sy, const struct buf *list)
{
	struct store_tx	*tx;
	size_t		 at = 0;
	uint16_t	 n;
	const char	*key;

	store_tx_begin(sy->d->store, STORE_TX_REQUEST, 0, &tx);
	while (at < list->len) {
		memcpy(&n, list->data + at, sizeof(n));
		key = (const char *)list->data + at + sizeof(n);
		at += sizeof(n) + n;
		if (!dbs_is_touched(sy->s, key, n) && store_remove(
		    sy->d->store, tx, sy->s->sh, key, n, NULL) == 0)
			sy->removed++;
	}
	if (store_tx_commit(sy->d->store, &tx) != 0)
		dbs_storage_failed(sy->d);
}

/* What we have of the range of one page and the snapshot has not, or has with
 * another revision. */
static int
compare_page(struct sync *sy, const uint8_t *keys, const struct buf *after,
    bool more, struct buf *surplus)
{
	struct store_scan	*scan;
	struct store_row	 row;
	struct vp_iter		 it;
	const uint8_t		*v;
	const char		*key = NULL;
	size_t			 klen = 0;
	uint64_t		 rev = 0;
	int			 c, got;

	if (store_scan_new(sy->d->store, sy->s->sh, STORE_BY_KEY, NULL, NULL,
	    &scan) != 0)
		return ERR_STORAGE;
	if (after->len > 0)
		store_scan_seek_key(scan, (const char *)after->data,
		    after->len);
	vp_arr_iter(&it, keys);
	while ((got = store_scan_next(scan, false, &row)) == 1) {
		if (after->len == row.klen && row.klen > 0 &&
		    memcmp(after->data, row.key, row.klen) == 0)
			continue;
		/* Move the snapshot's key up to ours. */
		c = key == NULL ? -1 : 1;
		for (;;) {
			if (key != NULL) {
				c = memcmp(key, row.key, MIN(klen, row.klen));
				if (c == 0)
					c = (klen > row.klen) -
					    (klen < row.klen);
				if (c >= 0)
					break;
			}
			if ((v = vp_arr_next(&it)) == NULL) {
				key = NULL;
				break;
			}
			key = vp_get_string(v, &klen);
			v = vp_arr_next(&it);
			if (key == NULL || v == NULL ||
			    vp_get_uint(v, &rev) != 0) {
				store_scan_free(&scan);
				return ERR_PROTOCOL;
			}
		}
		if (key == NULL && more)
			break;		/* the next page knows */
		if (key == NULL || c > 0 || rev != row.rev)
			list_put(surplus, row.key, row.klen);
	}
	store_scan_free(&scan);
	return got < 0 ? got : 0;
}

/* Remember where a page ended. */
static void
page_end(const uint8_t *keys, struct buf *after)
{
	const uint8_t	*v;
	const char	*key;
	size_t		 n = vp_length(keys), klen;

	if (n >= 2 && (v = vp_arr_at(keys, n - 2)) != NULL &&
	    (key = vp_get_string(v, &klen)) != NULL) {
		buf_reset(after);
		buf_append(after, key, klen);
	}
}

static const uint8_t *
page_keys(const struct sync *sy, bool *more)
{
	const uint8_t	*keys = vp_get(sy->answer, "keys");
	const uint8_t	*m = vp_get(sy->answer, "more");

	*more = m != NULL && vp_is_true(m) && keys != NULL &&
	    vp_length(keys) > 0;
	return keys != NULL ? keys : vp_empty_array;
}

static int
remove_surplus(struct sync *sy)
{
	struct buf	 after = BUF_INIT, surplus = BUF_INIT;
	const uint8_t	*keys;
	bool		 more = true;
	int		 r = 0;

	if (store_shard_count(sy->s->sh, NULL) == 0)
		return 0;
	while (more && r == 0) {
		if ((r = sync_call(sy, "keys", &after, NULL)) != 0)
			break;
		if (!sync_alive(sy)) {
			r = ERR_CANCELLED;
			break;
		}
		keys = page_keys(sy, &more);
		buf_reset(&surplus);
		r = compare_page(sy, keys, &after, more, &surplus);
		if (r == 0 && surplus.len > 0) {
			remove_list(sy, &surplus);
			page_end(keys, &after);
			dbs_commit_wait(sy->d, false);
		} else
			page_end(keys, &after);
		if (!sync_alive(sy))
			r = ERR_CANCELLED;
	}
	buf_free(&after);
	buf_free(&surplus);
	return r;
}

/* Keys of a page that we lack, as VelocyPack array; their number. */
static size_t
missing_keys(struct sync *sy, const uint8_t *keys, struct buf *want)
{
	struct vp_builder	 b;
	struct vp_iter		 it;
	const uint8_t		*v;
	const char		*key;
	size_t			 klen, n = 0;
	uint64_t		 rev;

	buf_reset(want);
	vpb_init(&b, want);
	vpb_open_array(&b);
	vp_arr_iter(&it, keys);
	while ((v = vp_arr_next(&it)) != NULL) {
		key = vp_get_string(v, &klen);
		vp_arr_next(&it);
		if (key == NULL || !docop_key_ok(key, klen) ||
		    dbs_is_touched(sy->s, key, klen) ||
		    store_get_rev(sy->d->store, NULL, sy->s->sh, key, klen,
		    &rev) == 0)
			continue;
		vpb_string(&b, key, klen);
		n++;
	}
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	return n;
}

/*
 * A document whose content changed under an unchanged revision (R11) was not
 * found to differ, and may hold a unique value of another.  Then it goes, and
 * is fetched in one more pass.  As arangod's DatabaseInitialSyncer.
 */
static int
put_fetched(struct sync *sy, struct store_tx *tx, const uint8_t *doc)
{
	struct store_conflict	 c;
	int			 r, i;

	for (i = 0; i < 64; i++) {
		r = store_put(sy->d->store, tx, sy->s->sh, doc, &c, NULL);
		if (r != AE_UNIQUE_CONSTRAINT_VIOLATED || c.index == NULL ||
		    dbs_is_touched(sy->s, c.key, strlen(c.key)) ||
		    store_remove(sy->d->store, tx, sy->s->sh, c.key,
		    strlen(c.key), NULL) != 0)
			break;
		sy->removed++;
		sy->again = true;
	}
	return r;
}

static int
store_fetched(struct sync *sy, const uint8_t *docs)
{
	struct store_tx		*tx;
	struct vp_iter		 it;
	const uint8_t		*doc;
	const char		*key, *rev;
	size_t			 klen, len;
	uint64_t		 old, n;
	int			 r = 0;

	store_tx_begin(sy->d->store, STORE_TX_REQUEST, 0, &tx);
	vp_arr_iter(&it, docs);
	while (r == 0 && (doc = vp_arr_next(&it)) != NULL) {
		key = vp_get_string(vp_get(doc, "_key"), &klen);
		rev = vp_get_string(vp_get(doc, "_rev"), &len);
		if (key == NULL || rev == NULL || !docop_key_ok(key, klen) ||
		    (n = rev_from_text(rev, len)) == 0 || n == REV_INVALID) {
			r = ERR_PROTOCOL;
			break;
		}
		if (dbs_is_touched(sy->s, key, klen) ||
		    store_get_rev(sy->d->store, NULL, sy->s->sh, key, klen,
		    &old) == 0)
			continue;
		r = put_fetched(sy, tx, doc);
		sy->fetched++;
	}
	if (store_tx_commit(sy->d->store, &tx) != 0)
		dbs_storage_failed(sy->d);
	return r;
}

/* The first n members off an array of strings. */
static void
array_skip(struct buf *list, uint64_t n)
{
	struct buf		 out = BUF_INIT;
	struct vp_builder	 b;
	struct vp_iter		 it;
	const uint8_t		*v;

	vpb_init(&b, &out);
	vpb_open_array(&b);
	vp_arr_iter(&it, list->data);
	while ((v = vp_arr_next(&it)) != NULL)
		if (n > 0)
			n--;
		else
			vpb_slice(&b, v);
	vpb_close(&b);
	vpb_end(&b);
	vpb_free(&b);
	buf_free(list);
	*list = out;
}

static int
fetch_list(struct sync *sy, struct buf *want, size_t n)
{
	const uint8_t	*docs;
	uint64_t	 done;
	int		 r;

	while (n > 0) {
		if ((r = sync_call(sy, "docs", NULL, want)) != 0)
			return r;
		if (!sync_alive(sy))
			return ERR_CANCELLED;
		done = get_u64(sy->answer, "done");
		if ((docs = vp_get(sy->answer, "docs")) == NULL || done == 0 ||
		    done > n)
			return ERR_PROTOCOL;
		if ((r = store_fetched(sy, docs)) != 0)
			return r;
		dbs_commit_wait(sy->d, false);
		if (!sync_alive(sy))
			return ERR_CANCELLED;
		if ((n -= done) > 0)
			array_skip(want, done);
	}
	return 0;
}

static int
fetch_missing(struct sync *sy)
{
	struct buf	 after = BUF_INIT, want = BUF_INIT;
	const uint8_t	*keys;
	size_t		 n;
	bool		 more = true;
	int		 r = 0;

	while (more && r == 0) {
		if ((r = sync_call(sy, "keys", &after, NULL)) != 0)
			break;
		if (!sync_alive(sy)) {
			r = ERR_CANCELLED;
			break;
		}
		keys = page_keys(sy, &more);
		n = missing_keys(sy, keys, &want);
		page_end(keys, &after);
		r = fetch_list(sy, &want, n);
	}
	buf_free(&after);
	buf_free(&want);
	return r;
}

static int
sync_run(struct sync *sy)
{
	struct dbs_shard	*s = sy->s;
	uint64_t		 index;
	int			 r, passes = 0;

	if ((r = sync_call(sy, "start", NULL, NULL)) != 0)
		return r;
	if ((sy->snap = get_u64(sy->answer, "snap")) == 0)
		return ERR_PROTOCOL;
	if (!sync_alive(sy))
		return ERR_CANCELLED;
	if ((r = remove_surplus(sy)) != 0)
		return r;
	do {
		sy->again = false;
		if ((r = fetch_missing(sy)) != 0)
			return r;
	} while (sy->again && ++passes < SYNC_PASSES);
	if (sy->again)
		return AE_UNIQUE_CONSTRAINT_VIOLATED;
	/*
	 * The leader answered some of it with waitForSync, and may be gone a
	 * moment after we stand in Current.
	 */
	dbs_commit_wait(sy->d, true);
	if (!sync_alive(sy))
		return ERR_CANCELLED;
	if ((r = sync_call(sy, "finish", NULL, NULL)) != 0)
		return r;
	index = get_u64(sy->answer, "index");
	/*
	 * Until the news is here our copy of Current says that we are not in
	 * sync, and maintenance would begin again.
	 */
	r = agency_wait_index(sy->d->agency, index,
	    loop_now_ms(sy->d->loop) + DBS_AGENCY_MS);
	if (!sync_alive(sy))
		return ERR_CANCELLED;
	if (r != 0)
		return r;
	s->syncing = s->all_touched = false;
	map_free(&s->touched, NULL);
	s->in_sync = true;
	sy->snap = 0;
	log_notice("shard %s/%s: in sync with %s, removed %" PRIu64
	    ", fetched %" PRIu64, s->db, s->name, sy->leader, sy->removed,
	    sy->fetched);
	return 0;
}

static void
sync_main(void *arg)
{
	struct sync		*sy = arg;
	struct dbs_shard	*s = sy->s;
	int			 r;

	if ((r = sync_run(sy)) != 0) {
		log_info("shard %s/%s: no sync with %s yet (%s, error %d)",
		    s->db, s->name, sy->leader, err_text(r),
		    sy->resp.errnum);
		if (s->epoch == sy->epoch)
			dbs_session_end(s);
		if (!sy->d->stopping && s->sh != NULL)
			sync_call(sy, "cancel", NULL, NULL);
		s->sync_after_ms = loop_now_ms(sy->d->loop) + 300 +
		    rand_below(400);
	}
	s->sync_running = false;
	sy->d->syncs--;
	fiber_cond_broadcast(&sy->d->plan_changed);
	sb_resp_free(&sy->resp);
	dbs_shard_unref(&sy->s);
	free(sy->leader);
	free(sy);
}

void
dbs_sync_start(struct dbs_shard *s, const char *leader)
{
	struct sync	*sy = xcalloc(1, sizeof(*sy));

	sy->d = s->d;
	sy->s = dbs_shard_ref(s);
	sy->leader = xstrdup(leader);
	sy->epoch = hlc_stamp(&s->d->clock);
	sy->resp = (struct sb_resp)SB_RESP_INIT;
	/* Writes may arrive before the answer to the first request. */
	dbs_session_end(s);
	s->leader = xstrdup(leader);
	s->epoch = sy->epoch;
	s->syncing = true;
	s->sync_running = true;
	s->d->syncs++;
	fiber_spawn(s->d->loop, sync_main, sy);
}
