/* send_conf.c - what control tells a send */
#include <string.h>

#include "ipc/codec.h"
#include "send/send.h"

void
send_conf_put(struct buf *b, const struct send_conf *c)
{
	put_str(b, c->target);
	put_str(b, c->source);
	channel_name_put(b, &c->name);
	put_str(b, c->coll);
	put_str(b, c->shard);
	put_str(b, c->cuid);
	put_str(b, c->server);
	put_str(b, c->url);
	put_u64(b, c->reboot_id);
	put_u64(b, c->leader_changes);
	put_u64(b, c->quota_bytes);
	put_u64(b, c->min_free_bytes);
	put_u64(b, c->idle_ms);
}

int
send_conf_get(struct rbuf *m, struct send_conf *c)
{
	int	 r;

	memset(c, 0, sizeof(*c));
	if ((r = get_str(m, c->target, sizeof(c->target))) != 0 ||
	    (r = get_str(m, c->source, sizeof(c->source))) != 0 ||
	    (r = channel_name_get(m, &c->name)) != 0 ||
	    (r = get_str(m, c->coll, sizeof(c->coll))) != 0 ||
	    (r = get_str(m, c->shard, sizeof(c->shard))) != 0 ||
	    (r = get_str(m, c->cuid, sizeof(c->cuid))) != 0 ||
	    (r = get_str(m, c->server, sizeof(c->server))) != 0 ||
	    (r = get_str(m, c->url, sizeof(c->url))) != 0 ||
	    (r = get_u64(m, &c->reboot_id)) != 0 ||
	    (r = get_u64(m, &c->leader_changes)) != 0 ||
	    (r = get_u64(m, &c->quota_bytes)) != 0 ||
	    (r = get_u64(m, &c->min_free_bytes)) != 0 ||
	    (r = get_u64(m, &c->idle_ms)) != 0)
		return r;
	return get_end(m);
}
