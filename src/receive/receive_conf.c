/* receive_conf.c - what control tells a receive */
#include <string.h>

#include "ipc/codec.h"
#include "receive/receive.h"

void
receive_conf_put(struct buf *b, const struct receive_conf *c)
{
	put_str(b, c->source);
	channel_name_put(b, &c->name);
	put_str(b, c->coll);
	put_u32(b, c->settle_ms);
	put_bool(b, c->lineage);
	put_u64(b, c->idle_ms);
}

int
receive_conf_get(struct rbuf *m, struct receive_conf *c)
{
	int	 r;

	memset(c, 0, sizeof(*c));
	if ((r = get_str(m, c->source, sizeof(c->source))) != 0 ||
	    (r = channel_name_get(m, &c->name)) != 0 ||
	    (r = get_str(m, c->coll, sizeof(c->coll))) != 0 ||
	    (r = get_u32(m, &c->settle_ms)) != 0 ||
	    (r = get_bool(m, &c->lineage)) != 0 ||
	    (r = get_u64(m, &c->idle_ms)) != 0)
		return r;
	return get_end(m);
}
