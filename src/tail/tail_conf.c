/* tail_conf.c - what control tells a tail */
#include <string.h>

#include "ipc/codec.h"
#include "tail/tail.h"

void
tail_conf_put(struct buf *b, const struct tail_conf *c)
{
	put_str(b, c->target);
	put_str(b, c->source);
	put_str(b, c->server);
	put_str(b, c->url);
	put_u64(b, c->reboot_id);
	put_u64(b, c->max_hold_bytes);
	put_u64(b, c->max_hold_ms);
}

int
tail_conf_get(struct rbuf *m, struct tail_conf *c)
{
	int	 r;

	memset(c, 0, sizeof(*c));
	if ((r = get_str(m, c->target, sizeof(c->target))) != 0 ||
	    (r = get_str(m, c->source, sizeof(c->source))) != 0 ||
	    (r = get_str(m, c->server, sizeof(c->server))) != 0 ||
	    (r = get_str(m, c->url, sizeof(c->url))) != 0 ||
	    (r = get_u64(m, &c->reboot_id)) != 0 ||
	    (r = get_u64(m, &c->max_hold_bytes)) != 0 ||
	    (r = get_u64(m, &c->max_hold_ms)) != 0)
		return r;
	return get_end(m);
}

void
tail_evidence_put(struct buf *b, const struct tail_evidence *e)
{
	put_str(b, e->server);
	put_u64(b, e->reboot_id);
	put_u64(b, e->server_id);
	put_bool(b, e->proven);
	put_bool(b, e->gap);
	put_u64(b, e->wal_first);
	put_u64(b, e->wal_last);
	put_u64(b, e->join);
	put_u64(b, e->through);
	put_u64(b, e->rounds);
}

int
tail_evidence_get(struct rbuf *m, struct tail_evidence *e)
{
	int	 r;

	memset(e, 0, sizeof(*e));
	if ((r = get_str(m, e->server, sizeof(e->server))) != 0 ||
	    (r = get_u64(m, &e->reboot_id)) != 0 ||
	    (r = get_u64(m, &e->server_id)) != 0 ||
	    (r = get_bool(m, &e->proven)) != 0 ||
	    (r = get_bool(m, &e->gap)) != 0 ||
	    (r = get_u64(m, &e->wal_first)) != 0 ||
	    (r = get_u64(m, &e->wal_last)) != 0 ||
	    (r = get_u64(m, &e->join)) != 0 ||
	    (r = get_u64(m, &e->through)) != 0 ||
	    (r = get_u64(m, &e->rounds)) != 0)
		return r;
	return get_end(m);
}
