/*
 * tail_file.c - the checkpoint of a tail, in a file: data_dir/tails/<target>/
 * <server>
 *
 *	8 bytes "astail\0\1"
 *	route_checkpoint_put(): position, exceptions by the ids of rows
 *	u64 wall clock (us) when the held tick was the newest; 0: not known
 *	u8 n, n times (u64 reboot id, u64 tick): proven history
 *	u64 lost reboot id
 *	u32 n, n channels to be repaired: str db, str cuid, u64 tick, u64 since
 *		(us), bool strict
 *	u32 n, n rows: u32 id, str db, str cuid, u64 known, u64 last,
 *		u64 base, u64 wall clock (us) when its send was lost, 0: there
 *	u32 crc32c of all that
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/fsx.h"
#include "base/log.h"
#include "ipc/codec.h"
#include "tail/tail_priv.h"

#define FILE_MAX_BYTES	((size_t)256 * 1024 * 1024)
#define NAME_MAX_BYTES	256

static const char	 magic[8] = { 'a', 's', 't', 'a', 'i', 'l', 0, 1 };

static char *
file_dir(const struct tail *t)
{
	return xasprintf("%s/tails/%s", t->data_dir, t->conf.target);
}

/* ---- writing ------------------------------------------------------------ */

static void
put_floors(const struct tail *t, struct buf *b)
{
	const struct tail_floor	*f;
	struct map_iter		 it;

	put_u64(b, t->lost_reboot);
	put_u32(b, (uint32_t)map_count(&t->floors));
	MAP_FOREACH(&t->floors, it) {
		f = it.value;
		put_str(b, it.key);
		put_str(b, it.key + strlen(it.key) + 1);
		put_u64(b, f->tick);
		put_u64(b, f->us);
		put_bool(b, f->strict);
	}
}

static void
put_rows(const struct tail *t, struct buf *b)
{
	const struct tail_row	*row;
	uint32_t		 n = 0;

	TAILQ_FOREACH(row, &t->rows, all)
		n++;
	put_u32(b, n);
	TAILQ_FOREACH(row, &t->rows, all) {
		put_u32(b, row->id);
		put_str(b, row->ch->db);
		put_str(b, row->ch->cuid);
		put_u64(b, row->known);
		put_u64(b, row->last);
		put_u64(b, row->base);
		put_u64(b, row->conn != NULL ? 0 : row->away_us);
	}
}

/* The lowest tick that a start from this needs, its proof included. */
static uint64_t
needed(const struct route_checkpoint *cp)
{
	uint64_t	 tick = cp->point.from;
	size_t		 i;

	if (cp->point.has_proof)
		tick = MIN(tick, cp->point.proof_from);
	for (i = 0; i < cp->nexceptions; i++)
		tick = MIN(tick, cp->exceptions[i].from);
	return tick;
}

static uint64_t
make(struct tail *t, struct buf *b)
{
	struct route_checkpoint	 cp;
	uint64_t		 hold, holder;
	size_t			 i;

	route_checkpoint(t->route, &cp);
	memcpy(cp.server, t->conf.server, sizeof(cp.server));
	cp.reboot_id = t->point_reboot;
	cp.server_id = t->server_id;
	hold = needed(&cp);
	(void)route_holder(t->route, &holder);
	buf_append(b, magic, sizeof(magic));
	route_checkpoint_put(b, &cp);
	/* only of what is behind: an idle log writes nothing */
	put_u64(b, holder < t->point.from ? tail_time_of(t, holder) : 0);
	put_u8(b, (uint8_t)t->nlineage);
	for (i = 0; i < t->nlineage; i++) {
		put_u64(b, t->lineage[i].reboot_id);
		put_u64(b, t->lineage[i].tick);
	}
	put_floors(t, b);
	put_rows(t, b);
	put_u32(b, crc32c(0, b->data, b->len));
	route_checkpoint_free(&cp);
	return hold;
}

void
tail_file_make(struct tail *t, struct buf *b)
{
	(void)make(t, b);
}

int
tail_file_save(struct tail *t)
{
	struct buf	 b = BUF_INIT;
	uint64_t	 hold;
	char		*path;
	int		 r = 0;

	if (!t->has_point)
		return 0;
	t->saved_ms = loop_now_ms(t->loop);
	hold = make(t, &b);
	if (b.len != t->saved.len ||
	    memcmp(b.data, t->saved.data, b.len) != 0) {
		path = xasprintf("%s/tails/%s/%s", t->data_dir,
		    t->conf.target, t->conf.server);
		r = fsx_replace(path, b.data, b.len, 0600);
		if (r != 0 && !t->save_failed)
			log_error("%s cannot be written: %s; the log of %s "
			    "is held until it can", path, err_text(r),
			    t->conf.server);
		t->save_failed = r != 0;
		free(path);
	}
	if (r != 0) {
		buf_free(&b);
		return r;
	}
	buf_free(&t->saved);
	t->saved = b;
	t->hold_tick = hold;
	tail_hold_update(t);
	return 0;
}

/* ---- reading ------------------------------------------------------------ */

static uint64_t
exception_of(const struct route_checkpoint *cp, uint32_t id)
{
	size_t	 i;

	for (i = 0; i < cp->nexceptions; i++)
		if (cp->exceptions[i].id == id)
			return cp->exceptions[i].from;
	return cp->point.from;
}

/* All rows are away: nobody reads for them before they join. */
static int
get_row(struct tail *t, struct rbuf *m, const struct route_checkpoint *cp)
{
	struct tail_row	*row;
	char		*db = NULL, *cuid = NULL;
	uint64_t	 known, last, base, away_us;
	uint32_t	 id;
	int		 r;

	if ((r = get_u32(m, &id)) != 0 ||
	    (r = get_str_dup(m, NAME_MAX_BYTES, &db)) != 0 ||
	    (r = get_str_dup(m, NAME_MAX_BYTES, &cuid)) != 0 ||
	    (r = get_u64(m, &known)) != 0 ||
	    (r = get_u64(m, &last)) != 0 ||
	    (r = get_u64(m, &base)) != 0 ||
	    (r = get_u64(m, &away_us)) != 0)
		goto out;
	if (id == 0 || tail_row_find(t, db, cuid) != NULL) {
		r = ERR_FORMAT;
		goto out;
	}
	row = tail_row_add(t, id, db, cuid, exception_of(cp, id));
	row->known = known;
	row->last = last;
	row->base = base;
	row->away_ms = 0;	/* long ago: it holds no watermark back */
	row->away_us = away_us != 0 ? away_us : clock_wall_us();
	if (row->ch->state == ROUTE_DETACHED)
		(void)route_detach(t->route, row->ch, ROUTE_WHY_QUOTA);
out:
	free(db);
	free(cuid);
	return r;
}

static int
get_lineage(struct tail *t, struct rbuf *m)
{
	uint64_t	 reboot, tick;
	uint8_t		 n;
	int		 r;

	if ((r = get_u8(m, &n)) != 0)
		return r;
	if (n > TAIL_LINEAGE_MAX)
		return ERR_FORMAT;
	for (; n > 0; n--) {
		if ((r = get_u64(m, &reboot)) != 0 ||
		    (r = get_u64(m, &tick)) != 0)
			return r;
		tail_lineage_add(t, reboot, tick);
	}
	return 0;
}

static int
get_floors(struct tail *t, struct rbuf *m)
{
	struct tail_floor	*f;
	char			*db, *cuid;
	uint32_t		 n;
	int			 r;

	if ((r = get_u64(m, &t->lost_reboot)) != 0 ||
	    (r = get_u32(m, &n)) != 0)
		return r;
	for (; n > 0 && r == 0; n--) {
		db = cuid = NULL;
		if ((r = get_str_dup(m, NAME_MAX_BYTES, &db)) == 0 &&
		    (r = get_str_dup(m, NAME_MAX_BYTES, &cuid)) == 0) {
			f = tail_floor_put(t, db, cuid);
			if ((r = get_u64(m, &f->tick)) == 0 &&
			    (r = get_u64(m, &f->us)) == 0)
				r = get_bool(m, &f->strict);
		}
		free(db);
		free(cuid);
	}
	return r;
}

static int
get_rest(struct tail *t, struct rbuf *m, const struct route_checkpoint *cp)
{
	uint64_t	 hold_us;
	uint32_t	 n;
	int		 r;

	if (strcmp(cp->server, t->conf.server) != 0)
		return ERR_FORMAT;
	t->point = cp->point;
	t->point_reboot = cp->reboot_id;
	t->server_id = cp->server_id;
	t->hold_tick = needed(cp);
	route_seek(t->route, &t->point);
	if ((r = get_u64(m, &hold_us)) != 0 || (r = get_lineage(t, m)) != 0 ||
	    (r = get_floors(t, m)) != 0 || (r = get_u32(m, &n)) != 0)
		return r;
	if (hold_us != 0) {
		t->old[0].tick = t->hold_tick;
		t->old[0].us = hold_us;
		t->nold = 1;
	}
	for (; n > 0; n--)
		if ((r = get_row(t, m, cp)) != 0)
			return r;
	if ((r = get_end(m)) == 0)
		t->has_point = true;
	return r;
}

/* 0, or what is wrong with it; then nothing of it is used. */
int
tail_file_parse(struct tail *t, const void *data, size_t len)
{
	const uint8_t		*p = data;
	struct route_checkpoint	 cp;
	struct rbuf		 m;
	uint32_t		 crc;
	int			 r;

	if (len < sizeof(magic) + 4)
		return ERR_TRUNCATED;
	if (memcmp(p, magic, sizeof(magic)) != 0)
		return ERR_VERSION;
	m.p = p + len - 4;
	m.left = 4;
	(void)get_u32(&m, &crc);
	if (crc != crc32c(0, p, len - 4))
		return ERR_CORRUPT;
	m.p = p + sizeof(magic);
	m.left = len - 4 - sizeof(magic);
	if ((r = route_checkpoint_get(&m, &cp)) != 0)
		return r;
	r = get_rest(t, &m, &cp);
	route_checkpoint_free(&cp);
	if (r == 0)
		return 0;
	while (!TAILQ_EMPTY(&t->rows))
		tail_row_free(TAILQ_FIRST(&t->rows));
	memset(&t->point, 0, sizeof(t->point));
	t->point_reboot = t->server_id = t->hold_tick = t->lost_reboot = 0;
	tail_floors_free(t);
	t->nlineage = t->nold = 0;
	return r;
}

int
tail_file_load(struct tail *t, struct err_msg *m)
{
	struct buf	 b = BUF_INIT;
	char		*dir = file_dir(t), *path;
	int		 r;

	path = xasprintf("%s/%s", dir, t->conf.server);
	r = fsx_mkdir_p(dir, 0700);
	if (r == 0)
		r = fsx_read_file(path, FILE_MAX_BYTES, &b);
	if (r == 0 && (r = tail_file_parse(t, b.data, b.len)) == 0)
		r = 1;
	else if (r == -ENOENT)
		r = 0;
	else
		err_set(m, r, "%s: %s", path, err_text(r));
	buf_free(&b);
	free(path);
	free(dir);
	return r;
}
