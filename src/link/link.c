/* link.c - the process link: its life, and what control says; see link.h */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "http/url.h"
#include "ipc/codec.h"
#include "ipc/messages.h"
#include "ipc/peer.h"
#include "link/link_priv.h"

#define TICK_MS			1000
#define KEEP_BYTES		(2 * 1024 * 1024)
/* Records of TLS hold 16 KiB: some of them at once. */
#define READ_AHEAD_BYTES	((size_t)128 * 1024)
#define REMOTE_MAX_BYTES	((size_t)8 * 1024 * 1024)
#define MASTER_PORT		8629
#define ENDPOINT_MAX_BYTES	2048

static int	on_remote(struct msg_in *);
static int	on_nobody(struct msg_in *);

static const struct msg_rule	 from_control[] = {
	{ MSG_WORKER_REMOTE, 1, 12, REMOTE_MAX_BYTES, on_remote },
	{ MSG_LINK_NOBODY, 1, 16, 512, on_nobody },
	{ 0, 0, 0, 0, NULL }
};

/* ---- endpoints and credentials -------------------------------------------- */

static void
drop_endpoints(struct link *l)
{
	while (l->nendpoints > 0)
		free(l->endpoints[--l->nendpoints]);
}

static int
get_endpoints(struct link *l, struct rbuf *m)
{
	struct err_msg	 em = { "" };
	uint32_t	 i, n;
	char		*text;
	int		 r;

	drop_endpoints(l);
	if ((r = get_u32(m, &n)) != 0)
		return r;
	for (i = 0; i < n; i++) {
		if ((r = get_str_dup(m, ENDPOINT_MAX_BYTES, &text)) != 0)
			return r;
		if (l->nendpoints < LINK_ENDPOINTS_MAX &&
		    url_from_endpoint(text, MASTER_PORT,
		    &l->endpoints[l->nendpoints], &em) == 0)
			l->nendpoints++;
		else
			log_warning("endpoint %s of the source is not used%s"
			    "%s", text, em.text[0] != '\0' ? ": " : "",
			    em.text);
		free(text);
	}
	return 0;
}

/* The credentials are the rest of the message. */
static int
get_client(struct link *l, struct rbuf *m)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct err_msg		 em = { "" };
	const uint8_t		*cert, *ca;
	size_t			 cert_len, ca_len;
	int			 r;

	if ((r = get_bytes(m, &cert, &cert_len)) != 0 ||
	    (r = get_bytes(m, &ca, &ca_len)) != 0 || (r = get_end(m)) != 0)
		return r;
	http_client_free(&l->http);
	l->bye = NULL;
	if (cert_len != 0) {
		o.cert_pem = (const char *)cert;
		o.cert_pem_len = cert_len;
	}
	if (ca_len != 0) {
		o.ca_pem = (const char *)ca;
		o.ca_pem_len = ca_len;
	}
	o.tls_read_ahead = READ_AHEAD_BYTES;
	if (http_client_new(l->loop, &o, &l->http, &em) == 0)
		return 0;
	l->http = NULL;
	err_set(&l->error, 0, "the credentials for the source cannot be used: "
	    "%s", em.text);
	l->why = LINK_WHY_REFUSED;
	log_error("%s", l->error.text);
	return 0;
}

/* u32 n, n str endpoints, str certificate and key, str authorities */
static int
on_remote(struct msg_in *in)
{
	struct link	*l = in->ctx;
	bool		 again = l->remote.len != 0;
	int		 r;

	if (in->body.left == l->remote.len &&
	    memcmp(in->body.p, l->remote.data, l->remote.len) == 0)
		return 0;
	link_session_end(l, LINK_WHY_AWAY, "endpoints or credentials have "
	    "changed");
	if (l->remote.data != NULL)
		explicit_bzero(l->remote.data, l->remote.len);
	buf_reset(&l->remote);
	buf_append(&l->remote, in->body.p, in->body.left);
	if ((r = get_endpoints(l, &in->body)) != 0 ||
	    (r = get_client(l, &in->body)) != 0)
		return r;
	if (again)
		log_notice("the source has other endpoints or credentials");
	link_session_restart(l, l->nendpoints == 0 ?
	    "there is no endpoint of the source" : NULL);
	return 0;
}

static int
on_nobody(struct msg_in *in)
{
	struct channel_name	 name;
	int			 r;

	if ((r = channel_name_get(&in->body, &name)) != 0 ||
	    (r = get_end(&in->body)) != 0)
		return r;
	link_lane_nobody(in->ctx, &name);
	return 0;
}

/* ---- life ------------------------------------------------------------------ */

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct link	*l = arg;

	if (str_starts_with(name, "receive "))
		link_lane_connect(l, name, fd);
	else if (str_starts_with(name, "inventory "))
		link_inventory_connect(l, name, fd);
	else
		close(fd);
}

static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct link	*l = arg;

	l->stopping = true;
	link_session_stop(l);
}

void
link_stopped(struct link *l)
{
	worker_done(l->w, PROC_EXIT_OK, NULL);
}

static void
on_tick(void *arg)
{
	struct link	*l = arg;
	uint64_t	 now = loop_now_ms(l->loop);

	link_session_tick(l, now);
	link_mark_tick(l, now);
	link_lanes_tick(l, now);
	link_status(l);
}

static const struct worker_ops	 ops = {
	.rules = from_control, .connect = on_connect, .stop = on_stop
};

int
link_main(struct member *m, const struct worker_conf *conf)
{
	struct link	*l = xcalloc(1, sizeof(*l));
	struct rbuf	 body = { m->config, m->config_len };
	int		 r;

	if ((r = link_conf_get(&body, &l->conf)) != 0)
		return proc_child_fail(m->child, PROC_EXIT_START, "its "
		    "configuration cannot be read: %s", err_text(r));
	/* Messages of some 100 KiB come and go all the time: their pages stay
	 * here. */
	(void)mallopt(M_MMAP_THRESHOLD, KEEP_BYTES);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * KEEP_BYTES);
	TAILQ_INIT(&l->lanes);
	l->w = worker_new(m, conf, &ops, l);
	l->loop = worker_loop(l->w);
	link_session_init(l);
	link_mark_init(l);
	l->tick_timer = loop_timer_new(l->loop, on_tick, l);
	loop_timer_start_periodic(l->tick_timer, TICK_MS);
	link_status(l);
	return worker_run(l->w);
}
