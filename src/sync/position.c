/* position.c - what a pair resumes from; see position.h */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "ipc/codec.h"
#include "sync/position.h"

#define POS_VERSION	1

void
pos_clear(struct sync_pos *p)
{
	memset(p, 0, sizeof(*p));
}

bool
pos_is_none(const struct sync_pos *p)
{
	return p->server[0] == '\0';
}

static enum pos_order
order_of(uint64_t a, uint64_t b)
{
	return a < b ? POS_BEFORE : a > b ? POS_AFTER : POS_SAME;
}

enum pos_order
pos_compare(const struct sync_pos *a, const struct sync_pos *b, bool proven)
{
	if (pos_is_none(a) || pos_is_none(b) ||
	    strcmp(a->server, b->server) != 0)
		return POS_UNRELATED;
	if (a->server_id != 0 && b->server_id != 0 &&
	    a->server_id != b->server_id)
		return POS_UNRELATED;
	/* an unknown reboot id proves nothing either */
	if (!proven && (a->reboot_id != b->reboot_id || a->reboot_id == 0))
		return POS_UNRELATED;
	if (a->epoch != 0 && a->epoch == b->epoch)
		return order_of(a->offset, b->offset);
	return order_of(a->tick, b->tick);
}

const char *
pos_order_name(enum pos_order o)
{
	static const char *const	 names[] = {
		[POS_BEFORE] = "before", [POS_SAME] = "same",
		[POS_AFTER] = "after", [POS_UNRELATED] = "unrelated"
	};

	return (size_t)o < NITEMS(names) ? names[o] : "?";
}

void
pos_put(struct buf *b, const struct sync_pos *p)
{
	put_u8(b, POS_VERSION);
	put_str(b, p->server);
	put_u64(b, p->reboot_id);
	put_u64(b, p->server_id);
	put_u64(b, p->tick);
	put_bool(b, p->has_proof);
	put_bool(b, p->proof_vpack);
	put_u64(b, p->proof_from);
	put_u64(b, p->proof_tick);
	put_u32(b, p->proof_crc);
	put_u64(b, p->epoch);
	put_u64(b, p->offset);
}

int
pos_get(struct rbuf *m, struct sync_pos *p)
{
	struct sync_pos	 n;
	uint8_t		 version;
	int		 r;

	memset(&n, 0, sizeof(n));
	if ((r = get_u8(m, &version)) != 0)
		return r;
	if (version != POS_VERSION)
		return ERR_VERSION;
	if ((r = get_str(m, n.server, sizeof(n.server))) != 0 ||
	    (r = get_u64(m, &n.reboot_id)) != 0 ||
	    (r = get_u64(m, &n.server_id)) != 0 ||
	    (r = get_u64(m, &n.tick)) != 0 ||
	    (r = get_bool(m, &n.has_proof)) != 0 ||
	    (r = get_bool(m, &n.proof_vpack)) != 0 ||
	    (r = get_u64(m, &n.proof_from)) != 0 ||
	    (r = get_u64(m, &n.proof_tick)) != 0 ||
	    (r = get_u32(m, &n.proof_crc)) != 0 ||
	    (r = get_u64(m, &n.epoch)) != 0 ||
	    (r = get_u64(m, &n.offset)) != 0)
		return r;
	*p = n;
	return 0;
}

char *
pos_text(const struct sync_pos *p, char text[POS_TEXT_SIZE])
{
	int	 n;

	if (pos_is_none(p)) {
		snprintf(text, POS_TEXT_SIZE, "none");
		return text;
	}
	n = snprintf(text, POS_TEXT_SIZE, "%s/%" PRIu64 " tick %" PRIu64,
	    p->server, p->reboot_id, p->tick);
	if (p->epoch != 0 && n > 0 && n < POS_TEXT_SIZE)
		snprintf(text + n, POS_TEXT_SIZE - (size_t)n,
		    " (queue %" PRIu64 ":%" PRIu64 ")", p->epoch, p->offset);
	return text;
}
