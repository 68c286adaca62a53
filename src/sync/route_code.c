/* route_code.c - checkpoints as bytes, and names; see route.h */
#include <stdlib.h>
#include <string.h>

#include "ipc/codec.h"
#include "sync/route.h"

#define CHECKPOINT_VERSION	1

const char *
route_why_name(enum route_why why)
{
	static const char *const	 names[] = {
		[ROUTE_WHY_NONE] = "not detached",
		[ROUTE_WHY_SPILL_FULL] = "its buffer is full",
		[ROUTE_WHY_SPILL_OLD] = "it takes nothing",
		[ROUTE_WHY_QUOTA] = "it is over quota",
		[ROUTE_WHY_NEW] = "it resumes from behind"
	};

	return (size_t)why < NITEMS(names) ? names[why] : "?";
}

void
route_checkpoint_free(struct route_checkpoint *cp)
{
	free(cp->exceptions);
	memset(cp, 0, sizeof(*cp));
}

void
route_checkpoint_put(struct buf *b, const struct route_checkpoint *cp)
{
	size_t		 i;

	put_u8(b, CHECKPOINT_VERSION);
	put_str(b, cp->server);
	put_u64(b, cp->reboot_id);
	put_u64(b, cp->server_id);
	put_u64(b, cp->point.from);
	put_bool(b, cp->point.has_proof);
	put_bool(b, cp->point.proof_vpack);
	put_u64(b, cp->point.proof_from);
	put_u64(b, cp->point.proof_tick);
	put_u32(b, cp->point.proof_crc);
	put_u32(b, (uint32_t)cp->nexceptions);
	for (i = 0; i < cp->nexceptions; i++) {
		put_u32(b, cp->exceptions[i].id);
		put_u64(b, cp->exceptions[i].from);
	}
}

int
route_checkpoint_get(struct rbuf *m, struct route_checkpoint *cp)
{
	struct route_checkpoint	 n;
	uint32_t		 count, i;
	uint8_t			 version;
	int			 r;

	memset(&n, 0, sizeof(n));
	if ((r = get_u8(m, &version)) != 0)
		return r;
	if (version != CHECKPOINT_VERSION)
		return ERR_VERSION;
	if ((r = get_str(m, n.server, sizeof(n.server))) != 0 ||
	    (r = get_u64(m, &n.reboot_id)) != 0 ||
	    (r = get_u64(m, &n.server_id)) != 0 ||
	    (r = get_u64(m, &n.point.from)) != 0 ||
	    (r = get_bool(m, &n.point.has_proof)) != 0 ||
	    (r = get_bool(m, &n.point.proof_vpack)) != 0 ||
	    (r = get_u64(m, &n.point.proof_from)) != 0 ||
	    (r = get_u64(m, &n.point.proof_tick)) != 0 ||
	    (r = get_u32(m, &n.point.proof_crc)) != 0 ||
	    (r = get_u32(m, &count)) != 0)
		return r;
	if (count > m->left / 12)
		return ERR_TRUNCATED;
	if (count != 0)
		n.exceptions = xcalloc(count, sizeof(*n.exceptions));
	for (i = 0; i < count; i++)
		if ((r = get_u32(m, &n.exceptions[i].id)) != 0 ||
		    (r = get_u64(m, &n.exceptions[i].from)) != 0) {
			free(n.exceptions);
			return r;
		}
	n.nexceptions = count;
	*cp = n;
	return 0;
}
