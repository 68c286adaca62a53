/*
 * store_snap.c - snapshots of the whole server ("batches") and the dump that
 * is read from them.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sandbox/store_priv.h"

#define SNAP_TTL_MS	(7200 * 1000ULL)

/* One per (snapshot, shard): a dump goes on where it stopped. */
struct sdump {
	uint64_t	 shard;
	bool		 done;
	struct store_scan *scan;
	struct sdump	*next;
};

struct store_snap {
	uint64_t	 id;
	uint64_t	 tick;
	uint64_t	 ttl_ms;
	uint64_t	 expires_ms;
	unsigned int	 used;
	bool		 deleted;	/* goes when no longer used */
	const rocksdb_snapshot_t *snap;
	rocksdb_readoptions_t *ro;
	struct sdump	*dumps;
	struct store_snap *next;
};

const rocksdb_readoptions_t *
store_snap_ro(const struct store_snap *snap)
{
	return snap->ro;
}

const rocksdb_snapshot_t *
store_snap_rocks(const struct store_snap *snap)
{
	return snap->snap;
}

int
store_snap_create(struct store *st, uint64_t ttl_ms, struct store_snap **out)
{
	struct store_snap	*s;
	int			 r;

	if ((r = store_commit_pending(st)) != 0)
		return r;
	s = xcalloc(1, sizeof(*s));
	s->id = MAX(st->last_snap_id + 1, clock_wall_us());
	st->last_snap_id = s->id;
	s->tick = rocksdb_get_latest_sequence_number(st->db);
	s->snap = rocksdb_create_snapshot(st->db);
	s->ro = rocksdb_readoptions_create();
	rocksdb_readoptions_set_snapshot(s->ro, s->snap);
	s->ttl_ms = ttl_ms != 0 ? ttl_ms : SNAP_TTL_MS;
	s->expires_ms = clock_mono_ms() + s->ttl_ms;
	s->next = st->snaps;
	st->snaps = s;
	*out = s;
	return 0;
}

uint64_t
store_snap_id(const struct store_snap *snap)
{
	return snap->id;
}

uint64_t
store_snap_tick(const struct store_snap *snap)
{
	return snap->tick;
}

uint64_t
store_snap_ttl_ms(const struct store_snap *snap)
{
	return snap->ttl_ms;
}

struct store_snap *
store_snap_find(struct store *st, uint64_t id)
{
	struct store_snap	*s;
	uint64_t		 now = clock_mono_ms();

	for (s = st->snaps; s != NULL; s = s->next)
		if (s->id == id)
			return s->deleted ||
			    (s->used == 0 && s->expires_ms <= now) ? NULL : s;
	return NULL;
}

void
store_snap_extend(struct store *st, struct store_snap *s, uint64_t ttl_ms)
{
	if (ttl_ms != 0)
		s->ttl_ms = ttl_ms;
	s->expires_ms = clock_mono_ms() + s->ttl_ms;
}

static void
snap_free(struct store *st, struct store_snap *s)
{
	struct store_snap	**at;
	struct sdump		*d;

	for (at = &st->snaps; *at != NULL; at = &(*at)->next)
		if (*at == s) {
			*at = s->next;
			break;
		}
	while ((d = s->dumps) != NULL) {
		s->dumps = d->next;
		store_scan_free(&d->scan);
		free(d);
	}
	rocksdb_readoptions_destroy(s->ro);
	rocksdb_release_snapshot(st->db, s->snap);
	free(s);
}

void
store_snap_use(struct store_snap *s)
{
	s->used++;
}

void
store_snap_release(struct store *st, struct store_snap *s)
{
	if (--s->used == 0 && s->deleted)
		snap_free(st, s);
}

void
store_snap_delete(struct store *st, struct store_snap *s)
{
	s->deleted = true;
	if (s->used == 0)
		snap_free(st, s);
}

void
store_snap_expire(struct store *st)
{
	struct store_snap	*s, *next;
	uint64_t		 now = clock_mono_ms();

	for (s = st->snaps; s != NULL; s = next) {
		next = s->next;
		if (s->used == 0 && s->expires_ms <= now)
			snap_free(st, s);
	}
}

void
store_snap_close_all(struct store *st)
{
	/* Dumps own scans that store_scan_close_all() has freed. */
	struct store_snap	*s;
	struct sdump		*d;

	while ((s = st->snaps) != NULL) {
		for (d = s->dumps; d != NULL; d = d->next)
			d->scan = NULL;
		snap_free(st, s);
	}
}

void
store_snap_forget_shard(struct store *st, uint64_t shard)
{
	struct store_snap	*s;
	struct sdump		*d;

	for (s = st->snaps; s != NULL; s = s->next)
		for (d = s->dumps; d != NULL; d = d->next)
			if (d->shard == shard) {
				store_scan_free(&d->scan);
				d->done = true;
			}
}

/* ---- dumps -------------------------------------------------------------- */

static int
dump_of(struct store *st, struct store_snap *s, struct store_shard *sh,
    struct sdump **out)
{
	struct sdump	*d;
	int		 r;

	for (d = s->dumps; d != NULL; d = d->next)
		if (d->shard == sh->id) {
			*out = d;
			return 0;
		}
	d = xcalloc(1, sizeof(*d));
	d->shard = sh->id;
	if ((r = store_scan_new(st, sh, STORE_BY_REV, s, NULL,
	    &d->scan)) != 0) {
		free(d);
		return r;
	}
	d->next = s->dumps;
	s->dumps = d;
	*out = d;
	return 0;
}

static const char	 json_head[] = "{\"type\":2300,\"data\":";

static void
dump_json(struct buf *out, const uint8_t *doc, bool envelope,
    unsigned int flags)
{
	if (envelope)
		buf_append(out, json_head, sizeof(json_head) - 1);
	vp_to_json(out, doc, flags);
	if (envelope)
		buf_append(out, "}\n", 2);
	else
		buf_append_u8(out, '\n');
}

static void
dump_vpack(struct vp_builder *vb, struct buf *out, const uint8_t *doc,
    bool envelope)
{
	if (!envelope) {
		buf_append(out, doc, vp_size(doc));
		return;
	}
	vpb_start(vb, out);
	vpb_open_object_compact(vb);
	vpb_add_uint(vb, "type", 2300);
	vpb_add_slice(vb, "data", doc);
	vpb_close(vb);
	/* Too deep for an envelope: it was stored at the limit. */
	if (vpb_end(vb) != 0)
		buf_append(out, doc, vp_size(doc));
}

int
store_dump(struct store *st, struct store_snap *snap, struct store_shard *sh,
    size_t until, enum store_format format, bool envelope,
    unsigned int json_flags, struct buf *out, uint64_t *count, bool *more)
{
	struct vp_builder	 vb;
	struct store_row	 row;
	struct sdump		*d;
	int			 r;

	if ((r = dump_of(st, snap, sh, &d)) != 0)
		return r;
	vpb_init(&vb, out);
	while (!d->done && out->len < until) {
		if ((r = store_scan_next(d->scan, true, &row)) != 1)
			break;
		if (format == STORE_JSON)
			dump_json(out, row.doc, envelope, json_flags);
		else
			dump_vpack(&vb, out, row.doc, envelope);
		if (count != NULL)
			(*count)++;
	}
	vpb_free(&vb);
	if (!d->done && !store_scan_more(d->scan)) {
		d->done = true;
		store_scan_free(&d->scan);
	}
	*more = !d->done;
	return r < 0 || r > 1 ? r : 0;
}
