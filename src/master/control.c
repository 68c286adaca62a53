/*
 * control.c - leader election and the loop that keeps our keys in the agency.
 *
 * Two masters never lead at once as long as clocks run at the same speed: the
 * lease is counted from before the request that took it went out, so we stop
 * believing in it before the agency lets somebody else have it (R23).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/fsx.h"
#include "base/log.h"
#include "base/random.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/peer.h"
#include "ipc/rules.h"
#include "master/control.h"
#include "master/control_outgoing.h"
#include "master/control_space.h"
#include "master/control_workers.h"

#define SECRET_MAX_BYTES	4096
/* A request's body is 1 MiB at most. */
#define CALL_MAX_BYTES		((size_t)1024 * 1024 + 65536)

static int	on_call(struct msg_in *);

static const struct msg_rule	 from_api[] = {
	{ MSG_API_CALL_REQ, 1, 20, CALL_MAX_BYTES, on_call },
	{ MSG_API_SESSION, 1, 9, CALL_MAX_BYTES,
	    control_outgoing_on_session },
	{ MSG_API_WANT, 1, 20, 1024, control_outgoing_on_want },
	{ 0, 0, 0, 0, NULL }
};

/* ---- who we are ---------------------------------------------------------------- */

/* The id that was made at the first start with this data directory. */
static int
load_id(struct control *c)
{
	struct buf	 b = BUF_INIT;
	char		*path = xasprintf("%s/master-id", c->conf->data_dir);
	int		 r;

	r = fsx_read_file(path, 64, &b);
	if (r == 0 && b.len == 32 &&
	    strspn(buf_cstr(&b), "0123456789abcdef") == 32)
		memcpy(c->id, b.data, 32);
	else if (r == 0)
		r = ERR_FORMAT;
	else if (r == -ENOENT) {
		rand_hex(c->id, 32);
		r = fsx_replace(path, c->id, 32, 0600);
	}
	c->id[32] = '\0';
	if (r == ERR_FORMAT || r == ERR_TOO_BIG)
		proc_child_fail(c->m->child, PROC_EXIT_CONFIG, "%s: does not "
		    "hold the id of a master, 32 hex digits; remove it to get "
		    "a new one", path);
	else if (r != 0)
		proc_child_fail(c->m->child, PROC_EXIT_CONFIG, "%s: %s", path,
		    err_text(r));
	buf_free(&b);
	free(path);
	return r;
}

/* ---- the cluster ----------------------------------------------------------------- */

static void
open_cluster(struct control *c)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	struct err_msg		 m = { "" };

	o.name = "own cluster";
	o.endpoints = c->conf->cluster_endpoints;
	/* Servers of a cluster have certificates of their own making; the
	 * token is what we trust them with, as the original did. */
	o.no_verify = true;
	if (c->secret.len != 0) {
		o.jwt_secret = c->secret.data;
		o.jwt_secret_len = c->secret.len;
	}
	if (arango_new(c->loop, &o, &c->cluster, &m) != 0)
		fatal("%s", m.text);
	c->agency = arango_agency_new(c->cluster, &c->cancel);
	arango_agency_set_patience(c->agency, CONTROL_RENEW_MS);
}

static void
take_secret(struct control *c, const char *text, size_t len)
{
	struct err_msg	 m = { "" };

	if (c->secret.len == len && memcmp(c->secret.data, text, len) == 0)
		return;
	if (c->cluster != NULL && arango_change_secret(c->cluster, text, len,
	    &m) != 0) {
		log_error("--cluster.jwt-secret %s: %s; the secret in use is "
		    "kept", c->conf->cluster_jwt_file, m.text);
		return;
	}
	if (c->secret.data != NULL)
		explicit_bzero(c->secret.data, c->secret.len);
	buf_reset(&c->secret);
	buf_append(&c->secret, text, len);
	if (c->cluster == NULL)
		open_cluster(c);
	else
		log_notice("the secret of --cluster.jwt-secret has changed");
}

static void
on_file(void *arg, const char *what, int fd)
{
	struct control	*c = arg;
	char		 text[SECRET_MAX_BYTES];
	ssize_t		 n;
	size_t		 b = 0, e;

	if (strcmp(what, DAEMON_FILE_CLUSTER_JWT) != 0) {
		close(fd);
		return;
	}
	n = pread(fd, text, sizeof(text), 0);
	close(fd);
	e = n < 0 ? 0 : (size_t)n;
	while (b < e && strchr(" \t\r\n", text[b]) != NULL)
		b++;
	while (e > b && strchr(" \t\r\n", text[e - 1]) != NULL)
		e--;
	if (e == b)
		log_error("--cluster.jwt-secret %s: the file is empty or "
		    "cannot be read", c->conf->cluster_jwt_file);
	else
		take_secret(c, text + b, e - b);
	explicit_bzero(text, sizeof(text));
}

/* ---- the loop -------------------------------------------------------------------- */

/*
 * The cluster answers, or not.  Logged when that changes, and when the reason
 * is of another kind.
 */
static void
note_trouble(struct control *c, int r, const struct err_msg *m)
{
	if (r == 0 && c->trouble != 0)
		log_notice("own cluster: the agency answers again");
	else if (r != 0 && r != c->trouble && r != ERR_CANCELLED)
		log_warning("the agency cannot be used: %s; trying again",
		    m->text);
	if (r != 0)
		c->why = *m;
	c->trouble = r;
}

void
control_look(struct control *c)
{
	struct json_object	*o = NULL;
	struct err_msg		 m = { "" };
	bool			 leads;
	int			 r;

	if ((r = arango_agency_get(c->agency, CONTROL_ROOT, &o, &m)) == 0) {
		json_object_put(c->state);
		c->state = o;
		c->seen_ms = loop_now_ms(c->loop);
	}
	note_trouble(c, r, &m);
	leads = control_is_leader(c);
	if (leads != c->was_leader)
		log_notice("master %s: %s", c->id,
		    leads ? "leads" : "does not lead");
	c->was_leader = leads;
	control_outgoing_api(c);
}

/* masters/<id>: our endpoint, for as long as we live. */
static int
register_master(struct control *c, struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*endpoint, *version;
	char			*path, *text;
	int			 r;

	path = xasprintf(CONTROL_ROOT "/masters/%s", c->id);
	text = xasprintf("%s+%s", c->conf->version, c->conf->build);
	endpoint = json_object_new_string(c->conf->server_endpoint);
	version = json_object_new_string(text);
	agency_trx_set(&t, path, endpoint, CONTROL_TTL_S);
	if (arango_lease_is_held(&c->lease, loop_now_ms(c->loop)))
		agency_trx_set(&t, CONTROL_ROOT "/programVersion", version, 0);
	r = arango_agency_write(c->agency, &t, NULL, m);
	agency_trx_free(&t);
	json_object_put(endpoint);
	json_object_put(version);
	free(path);
	free(text);
	return r;
}

/* As last seen: nobody leads, or we do (we were killed, R23). */
static bool
lease_may_be_had(const struct control *c)
{
	const char	*leader = control_leader_id(c);

	return c->seen_ms == 0 || leader == NULL || strcmp(leader, c->id) == 0;
}

/* False: try again soon. */
static bool
keep_lease(struct control *c)
{
	struct err_msg	 m = { "" };
	int		 r = 0;

	if (c->lease.held)
		r = arango_lease_renew(c->agency, &c->lease, &m);
	else if (lease_may_be_had(c))
		r = arango_lease_take(c->agency, &c->lease, true, NULL, &m);
	if (r == 0 || r == ERR_EXISTS || r == ERR_BAD_STATE)
		return true;
	log_debug("lease: %s", m.text);
	return false;
}

/* Until the cluster is known to be ours.  False: it cannot become so. */
static bool
find_cluster(struct control *c)
{
	struct err_msg	 m = { "" };
	int		 r;

	if ((r = control_check_cluster(c, &m)) == 0) {
		c->checked = true;
		proc_child_progress(c->m->child);
	} else if (r == ERR_USAGE && !c->m->proven) {
		c->exit = proc_child_fail_text(c->m->child, PROC_EXIT_CONFIG,
		    m.text);
		return false;
	}
	note_trouble(c, r, &m);
	return true;
}

static void
one_round(struct control *c)
{
	struct err_msg	 m = { "" };
	uint64_t	 now = loop_now_ms(c->loop);
	bool		 due, kept = true;

	due = c->renewed_ms == 0 || now - c->renewed_ms >= CONTROL_RENEW_MS;
	if (due || !control_is_leader(c))
		kept = keep_lease(c);
	if (due && register_master(c, &m) == 0 && kept)
		c->renewed_ms = now;
	/* What changes from now on is read in the next round. */
	c->state_dirty = false;
	control_look(c);
	/* The one that led has just lost it. */
	if (c->trouble == 0 && !c->lease.held && lease_may_be_had(c) &&
	    keep_lease(c) && c->lease.held)
		control_look(c);
	control_lead_go_on(c);
}

/* Until there is something to do. */
static void
wait_round(struct control *c)
{
	uint64_t	 now = loop_now_ms(c->loop), until;

	until = now + (control_is_leader(c) ? CONTROL_LOOK_MS :
	    CONTROL_FOLLOW_MS);
	if (c->trouble != 0 || control_leader_id(c) == NULL ||
	    (control_is_leader(c) && !control_lead_is_on(c)))
		until = now + CONTROL_AGAIN_MS;
	if (c->renewed_ms != 0)
		until = MIN(until, MAX(c->renewed_ms + CONTROL_RENEW_MS,
		    now + CONTROL_AGAIN_MS));
	if (c->lead_from_ms > now)
		until = MIN(until, c->lead_from_ms);
	while (!c->stopping && !c->state_dirty &&
	    fiber_cond_wait_until(&c->wake, until) == 0)
		;
}

/* Says when our keys have changed. */
static void
watch_fiber(void *arg)
{
	static const char *const	 ours[] = { CONTROL_ROOT, NULL };
	struct control			*c = arg;
	struct agency_watch		 watch = AGENCY_WATCH_INIT(ours);
	struct arango_agency		*agency;
	struct err_msg			 m;
	int				 r = 0;

	agency = arango_agency_new(c->cluster, &c->cancel);
	while (!c->stopping) {
		r = arango_agency_wait(agency, &watch, CONTROL_RENEW_MS, &m);
		if (r > 0) {
			c->state_dirty = true;
			fiber_cond_broadcast(&c->wake);
		} else if (r < 0)
			(void)arango_sleep(&c->cancel, CONTROL_AGAIN_MS);
	}
	arango_agency_free(&agency);
}

/*
 * Let another master have the lease now instead of after the ttl, and take
 * ourselves off the list.
 */
static void
leave(struct control *c)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct arango_agency	*agency;
	struct err_msg		 m;
	char			*path;

	if (!c->checked || c->seen_ms == 0)
		return;
	agency = arango_agency_new(c->cluster, NULL);
	arango_agency_set_patience(agency, CONTROL_LEAVE_MS);
	/* All workers are gone: they are stopped before us. */
	if (c->lease.held &&
	    control_lead_note(c, agency, true, &m) != 0)
		log_warning("the end of our leading was not noted, so the "
		    "next master waits some seconds: %s", m.text);
	if (c->lease.held &&
	    arango_lease_release(agency, &c->lease, &m) != 0) {
		log_warning("the lease was not given back: %s", m.text);
		arango_agency_free(&agency);
		return;
	}
	path = xasprintf(CONTROL_ROOT "/masters/%s", c->id);
	agency_trx_delete(&t, path);
	(void)arango_agency_write(agency, &t, NULL, &m);
	agency_trx_free(&t);
	free(path);
	arango_agency_free(&agency);
}

static void
main_fiber(void *arg)
{
	struct control	*c = arg;
	bool		 watching = false;

	while (!c->stopping) {
		if (c->agency == NULL) {
			fiber_sleep_ms(20);
			continue;
		}
		if (!c->checked && !find_cluster(c))
			break;
		if (!c->checked) {
			(void)arango_sleep(&c->cancel, CONTROL_AGAIN_MS);
			continue;
		}
		if (!watching)
			fiber_spawn(c->loop, watch_fiber, c);
		watching = true;
		one_round(c);
		wait_round(c);
	}
	leave(c);
	loop_stop(c->loop);
}

/* ---- the api process --------------------------------------------------------------- */

static int
on_api_message(struct peer *p, const struct frame *f, void *arg)
{
	return msg_dispatch(from_api, 1, arg, p, f);
}

static void
on_api_lost(struct peer *p, int why, void *arg)
{
	struct control	*c = arg;

	if (c->api == p)
		c->api = NULL;
	peer_free(&p);
	control_outgoing_api_lost(c);
}

static const struct peer_ops	 api_ops = {
	.message = on_api_message, .lost = on_api_lost
};

static void
on_connect(void *arg, const char *name, unsigned class, uint32_t generation,
    int fd)
{
	struct control	*c = arg;

	if (class != DAEMON_API) {
		control_workers_connected(c, name, class, generation, fd);
		return;
	}
	if (c->api != NULL) {
		peer_free(&c->api);
		control_outgoing_api_lost(c);
	}
	c->api_count++;
	c->api = peer_new(fd, name, &api_ops, c);
	peer_set_limits(c->api, CALL_MAX_BYTES, PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(c->api, c->loop) != 0)
		peer_free(&c->api);
	control_outgoing_api(c);
}

static int
on_call(struct msg_in *in)
{
	struct control_call	*call = xcalloc(1, sizeof(*call));
	const uint8_t		*body;
	size_t			 len;
	int			 r;

	call->c = in->ctx;
	call->api_count = call->c->api_count;
	call->id = in->id;
	if ((r = get_str_dup(&in->body, 16, &call->method)) != 0 ||
	    (r = get_str_dup(&in->body, 32768, &call->path)) != 0 ||
	    (r = get_str_dup(&in->body, 32768, &call->query)) != 0 ||
	    (r = get_str_dup(&in->body, 1024, &call->who)) != 0 ||
	    (r = get_bytes(&in->body, &body, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0) {
		free(call->method);
		free(call->path);
		free(call->query);
		free(call->who);
		free(call);
		return r;
	}
	buf_append(&call->body, body, len);
	fiber_spawn(call->c->loop, control_answer_call, call);
	return 0;
}

/* ---- life -------------------------------------------------------------------------- */

static void
on_stop(void *arg, enum proc_stop_why why)
{
	struct control	*c = arg;

	c->stopping = true;
	control_lead_check(c);
	arango_cancel(&c->cancel);
	fiber_cond_broadcast(&c->wake);
	if (why == PROC_STOP_ORPHANED || c->agency == NULL)
		loop_stop(c->loop);
}

static void
on_lead_timer(void *arg)
{
	control_lead_check(arg);
}

int
control_main(struct member *m)
{
	struct control	*c = xcalloc(1, sizeof(*c));
	int		 r;

	if ((r = daemon_child_begin(m)) != 0)
		return r;
	c->m = m;
	c->conf = daemon_conf_of(m);
	c->loop = m->child->loop;
	if (load_id(c) != 0)
		return PROC_EXIT_CONFIG;
	c->id_json = json_object_new_string(c->id);
	c->lease = (struct agency_lease){
		.path = CONTROL_ROOT "/leader", .value = c->id_json,
		.ttl_s = CONTROL_TTL_S
	};
	control_workers_init(c);
	control_space_init(c);
	c->lead_timer = loop_timer_new(c->loop, on_lead_timer, c);
	loop_timer_start_periodic(c->lead_timer, CONTROL_LEASE_CHECK_MS);
	member_on_connect(m, on_connect, c);
	member_on_file(m, on_file, c);
	proc_child_on_stop(m->child, on_stop, c);
	if (c->conf->cluster_jwt_file == NULL)
		open_cluster(c);
	member_ready(m);
	fiber_spawn(c->loop, main_fiber, c);
	(void)loop_run(c->loop);
	return c->exit;
}
