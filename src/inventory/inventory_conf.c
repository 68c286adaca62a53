/* inventory_conf.c - what control tells an inventory */
#include <string.h>

#include "ipc/codec.h"
#include "inventory/inventory.h"

void
inventory_conf_put(struct buf *b, const struct inventory_conf *c)
{
	put_bool(b, c->is_target);
	put_str(b, c->source);
	put_bool(b, c->first);
	put_bool(b, c->allow_mass_drop);
}

int
inventory_conf_get(struct rbuf *m, struct inventory_conf *c)
{
	int	 r;

	memset(c, 0, sizeof(*c));
	if ((r = get_bool(m, &c->is_target)) != 0 ||
	    (r = get_str(m, c->source, sizeof(c->source))) != 0 ||
	    (r = get_bool(m, &c->first)) != 0 ||
	    (r = get_bool(m, &c->allow_mass_drop)) != 0)
		return r;
	return get_end(m);
}
