/* inventory.c - the process: who is connected, who is told; see inventory.h */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "base/log.h"
#include "base/str.h"
#include "inventory/inventory.h"
#include "inventory/inventory_priv.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "sync/channel.h"

#define API_NAME	"api"
#define LINK_PREFIX	"link "

struct inventory {
	struct worker		*w;
	struct inventory_conf	 conf;
	struct peer		*other;		/* api or link, or NULL */
	bool			 unsent;	/* api has no room */
	struct inv_source	*source;	/* one of them */
	struct inv_target	*target;
};

/* ---- the other end ----------------------------------------------------- */

static int
on_structure(struct msg_in *in)
{
	struct inventory	*v = in->ctx;
	const uint8_t		*text;
	uint64_t		 version;
	size_t			 len;
	int			 r;

	if ((r = get_u64(&in->body, &version)) != 0 ||
	    (r = get_bytes(&in->body, &text, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	inv_target_source(v->target, text, len);
	return 0;
}

static const struct msg_rule	 link_rules[] = {
	{ MSG_WORKER_STRUCTURE, 1, 12, CHANNEL_STRUCTURE_MAX + 12,
	    on_structure },
	{ 0, 0, 0, 0, NULL }
};
/* api has nothing to say to us */
static const struct msg_rule	 api_rules[] = { { 0, 0, 0, 0, NULL } };

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	struct inventory	*v = arg;

	return msg_dispatch(v->conf.is_target ? link_rules : api_rules, 1, v,
	    p, f);
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct inventory	*v = arg;

	if (why != ERR_CLOSED)
		log_warning("%s: %s", peer_name(p), err_text(why));
	if (v->other == p)
		v->other = NULL;
	peer_free(&p);
}

static void
on_room(struct peer *p, void *arg)
{
	struct inventory	*v = arg;

	(void)p;
	if (v->unsent && v->source != NULL)
		inv_source_repeat(v->source);
}

static const struct peer_ops	 other_ops = {
	.message = on_message, .lost = on_lost, .room = on_room
};

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct inventory	*v = arg;

	(void)class;
	(void)generation;
	if (v->conf.is_target ? !str_starts_with(name, LINK_PREFIX) :
	    strcmp(name, API_NAME) != 0) {
		close(fd);
		return;
	}
	if (v->other != NULL)
		peer_free(&v->other);
	v->other = peer_new(fd, name, &other_ops, v);
	peer_set_limits(v->other, CHANNEL_STRUCTURE_MAX + 1024,
	    PEER_LOW_BYTES, PEER_HIGH_BYTES);
	if (peer_attach(v->other, worker_loop(v->w)) != 0) {
		peer_free(&v->other);
		return;
	}
	if (v->source != NULL)
		inv_source_repeat(v->source);
}

/* ---- what the roles say ------------------------------------------------ */

static void
say_status(void *arg, struct json_object *status)
{
	struct inventory	*v = arg;

	worker_status(v->w, status);
}

static void
say_progress(void *arg)
{
	struct inventory	*v = arg;

	worker_progress(v->w);
}

static void
publish(void *arg, uint64_t version, const char *text, size_t len)
{
	struct inventory	*v = arg;
	struct buf		 b = BUF_INIT;

	v->unsent = v->other != NULL && !peer_has_room(v->other);
	if (v->other == NULL || v->unsent)
		return;
	put_u64(&b, version);
	put_bytes(&b, text, len);
	(void)peer_send_buf(v->other, MSG_WORKER_STRUCTURE, 0, &b);
	buf_free(&b);
	worker_progress(v->w);
}

static void
say_pairs(void *arg, const char *text, size_t len)
{
	struct inventory	*v = arg;
	struct peer		*control = worker_control(v->w);
	struct buf		 b = BUF_INIT;

	/* It asks again by coming back. */
	if (control == NULL)
		return;
	put_bytes(&b, text, len);
	(void)peer_send_buf(control, MSG_WORKER_PAIRS, 0, &b);
	buf_free(&b);
}

static const struct inv_source_ops	 source_ops = {
	.publish = publish, .status = say_status
};
static const struct inv_target_ops	 target_ops = {
	.pairs = say_pairs, .status = say_status, .progress = say_progress
};

/* ---- life -------------------------------------------------------------- */

static void
on_control(void *arg, struct peer *control)
{
	struct inventory	*v = arg;

	(void)control;
	if (v->target != NULL)
		inv_target_repeat(v->target);
}

/* Every change is a request of its own, and its outcome is read again: there
 * is nothing to drain. */
static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct inventory	*v = arg;

	(void)why;
	arango_cancel(worker_cancel(v->w));
	worker_done(v->w, PROC_EXIT_OK, NULL);
}

static const struct worker_ops	 ops = {
	.control = on_control, .connect = on_connect, .stop = on_stop
};

int
inventory_main(struct member *m, const struct worker_conf *conf)
{
	static struct inventory	 v;
	struct rbuf		 config = { m->config, m->config_len };
	int			 r;

	r = inventory_conf_get(&config, &v.conf);
	v.w = worker_new(m, conf, &ops, &v);
	if (r != 0)
		worker_done(v.w, PROC_EXIT_CONFIG, "inventory: its "
		    "configuration cannot be read: %s", err_text(r));
	else if (v.conf.is_target)
		v.target = inv_target_new(worker_cluster(v.w),
		    worker_cancel(v.w), &v.conf, &target_ops, &v);
	else
		v.source = inv_source_new(worker_cluster(v.w),
		    worker_cancel(v.w), &source_ops, &v);
	return worker_run(v.w);
}
