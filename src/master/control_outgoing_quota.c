/*
 * control_outgoing_quota.c - --mq.quota: what all queues together may take of
 * the disk.
 *
 * Sends say how large their queues are; those that are too large are told to
 * queue nothing more (queue/room.h).  A quota is kept within what is written
 * in a second or two.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/str.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "json/get.h"
#include "master/control_outgoing_priv.h"
#include "queue/room.h"

static uint64_t
queue_bytes(const struct out_send *x)
{
	return x->worker == NULL ? 0 : x->worker->queue_bytes;
}

void
outgoing_quota_tell(struct out_send *x)
{
	struct buf	 b = BUF_INIT;

	put_bool(&b, x->stop);
	(void)control_worker_send(x->worker, MSG_WORKER_QUOTA, 0, &b);
	buf_free(&b);
}

static size_t
gather(const struct control_outgoing *o, struct room_share **shares,
    struct out_send ***sends)
{
	struct map_iter		 it, is;
	struct out_target	*t;
	size_t			 n = 0;

	MAP_FOREACH(&o->targets, it)
		n += map_count(&((struct out_target *)it.value)->sends);
	*shares = xcalloc(MAX(n, 1), sizeof(**shares));
	*sends = xcalloc(MAX(n, 1), sizeof(**sends));
	n = 0;
	MAP_FOREACH(&o->targets, it) {
		t = it.value;
		MAP_FOREACH(&t->sends, is) {
			(*sends)[n] = is.value;
			(*shares)[n].stop = (*sends)[n]->stop;
			(*shares)[n].bytes = queue_bytes((*sends)[n]);
			n++;
		}
	}
	return n;
}

static void
say(const struct control_outgoing *o, bool over)
{
	char	 text[STR_NUMBER_SIZE];

	if (over)
		log_warning("all queues together are larger than --mq.quota, "
		    "%s: the largest wait until targets have taken what is "
		    "queued", str_format_bytes(o->c->conf->queue_quota, text));
	else
		log_notice("all queues together are below --mq.quota again");
}

void
outgoing_quota_tick(struct control_outgoing *o)
{
	struct room_share	*shares;
	struct out_send		**sends;
	size_t			 i, n;
	bool			 over;

	if (o->c->conf->queue_quota == 0)
		return;
	n = gather(o, &shares, &sends);
	over = room_divide(o->c->conf->queue_quota, shares, n);
	for (i = 0; i < n; i++) {
		if (sends[i]->stop == shares[i].stop)
			continue;
		sends[i]->stop = shares[i].stop;
		outgoing_quota_tell(sends[i]);
	}
	free(shares);
	free(sends);
	if (over != o->over_quota)
		say(o, over);
	o->over_quota = over;
}

void
control_outgoing_queues(const struct control *c, struct control_queues *q)
{
	const struct out_target	*t;
	struct map_iter		 it, is;

	*q = (struct control_queues){ .quota = c->conf->queue_quota };
	if (c->outgoing == NULL)
		return;
	q->over = c->outgoing->over_quota;
	MAP_FOREACH(&c->outgoing->targets, it) {
		t = it.value;
		q->targets++;
		MAP_FOREACH(&t->sends, is) {
			q->bytes += queue_bytes(is.value);
			q->stopped += ((struct out_send *)is.value)->stop;
		}
	}
}
