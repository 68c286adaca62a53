/* link_conf.c - what control tells a link */
#include <string.h>

#include "ipc/codec.h"
#include "link/link.h"

void
link_conf_put(struct buf *b, const struct link_conf *c)
{
	put_str(b, c->target);
	put_str(b, c->source);
}

int
link_conf_get(struct rbuf *m, struct link_conf *c)
{
	int	 r;

	memset(c, 0, sizeof(*c));
	if ((r = get_str(m, c->target, sizeof(c->target))) != 0 ||
	    (r = get_str(m, c->source, sizeof(c->source))) != 0)
		return r;
	return get_end(m);
}
