/*
 * control_incoming_stop.c - DELETE /_api/sync, and what it sets in motion.
 *
 * What is to be done is stored first (x.incoming.stop), so that another leader
 * goes on with it: processes drain and end, the source is told, the own
 * cluster gets its mode back, the state is removed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fsx.h"
#include "base/log.h"
#include "ev/backoff.h"
#include "ev/loop.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"

#define NS_PER_MS		1000000
#define FORCE_DEFAULT_MS	(2 * 60 * 1000)
#define DRAIN_MS		30000
#define ASK_MS			5000
/* Shorter when there is little time: a part of it is for the source. */
#define DRAIN_PART		2

/* ---- the request -------------------------------------------------------- */

static int
check_mode(struct json_object *o, const char *name, struct json_object **out)
{
	const char	*mode = json_string_or(o, name, "default");

	if (strcmp(mode, "default") == 0 || strcmp(mode, "readonly") == 0)
		return 200;
	return control_say(out, 400, "%s must be default or readonly: bad "
	    "request", name);
}

/* A wish that cannot be read is refused: force is not to be guessed. */
static int
check_stop(struct json_object *o, struct json_object **out)
{
	static const struct {
		const char	*name;
		enum json_type	 type;
		const char	*what;
	} wants[] = {
		{ "force", json_type_boolean, "a boolean" },
		{ "force_timeout", json_type_int, "a number of nanoseconds" },
		{ "wait_timeout", json_type_int, "a number of nanoseconds" }
	};
	struct json_object	*v;
	size_t			 i;
	int			 status;

	for (i = 0; i < NITEMS(wants); i++)
		if ((v = json_at(o, wants[i].name)) != NULL &&
		    !json_object_is_type(v, wants[i].type))
			return control_say(out, 400, "%s must be %s: bad "
			    "request", wants[i].name, wants[i].what);
	if ((status = check_mode(o, "target_server_mode", out)) != 200)
		return status;
	return check_mode(o, "source_server_mode", out);
}

/*
 * What is to be done, for the agency.  A stop that is under way and not forced
 * becomes a forced one; modes are those of the last request that names them.
 */
static struct json_object *
make_stop(struct control_incoming *in, struct json_object *body)
{
	static const char *const  modes[] = {
		"target_server_mode", "source_server_mode"
	};
	struct json_object	 *old = json_at(in->x, "stop"), *o;
	const char		 *mode;
	int64_t			  ns;
	size_t			  i;

	o = old != NULL ? json_copy(old) : json_object_new_object();
	for (i = 0; i < NITEMS(modes); i++)
		if ((mode = json_string_or(body, modes[i], NULL)) != NULL)
			json_set_string(o, modes[i], mode);
	if (json_bool_or(body, "force", false) &&
	    !json_bool_or(o, "force", false)) {
		ns = json_int_or(body, "force_timeout", 0);
		json_set_bool(o, "force", true);
		json_set_uint(o, "deadline_us", clock_wall_us() +
		    (ns > 0 ? (uint64_t)ns / 1000 :
		    (uint64_t)FORCE_DEFAULT_MS * 1000));
	}
	return o;
}

static int
store_stop(struct control_incoming *in, struct json_object *stop,
    struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct json_object	*state;
	int			 r;

	state = json_object_new_string(
	    shard_state_name(SHARD_STATE_CANCELLING));
	agency_trx_set(&t, INCOMING_X "/stop", stop, 0);
	agency_trx_set(&t, INCOMING_KEY "/state", state, 0);
	r = incoming_write(in, &t, m);
	agency_trx_free(&t);
	json_object_put(state);
	if (r == 0 && in->active) {
		log_notice("synchronization is being cancelled");
		json_set(in->x, "stop", json_object_get(stop));
		in->state = in->stored = SHARD_STATE_CANCELLING;
		/* Its lease at the source ends with DELETE, or by itself. */
		incoming_barrier_drop(in);
		/* Whoever is at it already may have to hurry now. */
		incoming_ask_cancel(in->telling);
		(void)fiber_cond_broadcast(&in->stopped);
		incoming_wake(in);
	}
	return r;
}

static int
answer(struct control_incoming *in, struct json_object *source,
    const char *source_id, struct json_object **out)
{
	*out = json_object_new_object();
	if (in->aborted)
		json_set_bool(*out, "aborted", true);
	json_set(*out, "source", json_object_get(source));
	json_set_string(*out, "cluster_id", source_id);
	json_set_bool(*out, "cancelling", in->active);
	return 200;
}

static int
stop(struct control_incoming *in, struct json_object *body,
    struct json_object **out)
{
	struct json_object	*wish, *source;
	struct err_msg		 m = { "" };
	char			 id[64];
	int64_t			 wait_ns;
	uint64_t		 deadline;
	int			 status, r = 0;

	if ((status = check_stop(body, out)) != 200)
		return status;
	if (!in->active)
		return 200;
	snprintf(id, sizeof(id), "%s", incoming_source_id(in));
	source = json_object_get(json_at(in->conf, "source"));
	wish = make_stop(in, body);
	if (json_at(in->x, "stop") == NULL ||
	    !json_equal(wish, json_at(in->x, "stop")))
		r = store_stop(in, wish, &m);
	json_object_put(wish);
	wait_ns = json_int_or(body, "wait_timeout", 0);
	deadline = loop_now_ms(in->c->loop) +
	    (uint64_t)(wait_ns > 0 ? wait_ns / NS_PER_MS : 0);
	while (r == 0 && wait_ns > 0 && in->active && !in->ended &&
	    fiber_cond_wait_until(&in->stopped, deadline) == 0)
		;
	if (r != 0)
		status = control_say(out, 503, "%s", m.text);
	else if (wait_ns > 0 && in->active)
		status = control_say(out, 408, "synchronization is still being "
		    "cancelled: request timeout");
	else
		status = answer(in, source, id, out);
	json_object_put(source);
	return status;
}

int
control_incoming_stop(struct control_call *call, struct json_object **out)
{
	struct control_incoming	*in;
	struct json_object	*body;
	int			 status;

	if ((in = incoming_of(call, out, &status)) == NULL)
		return status;
	if ((body = control_body(call)) == NULL)
		status = control_say(out, 400, "the body is not a JSON "
		    "object: bad request");
	else
		status = stop(in, body, out);
	json_object_put(body);
	incoming_release(&in);
	return status;
}

/* ---- doing it ----------------------------------------------------------- */

/* With force there is an end to trying: milliseconds until then. */
static uint64_t
time_left(const struct control_incoming *in)
{
	uint64_t	 deadline = 0, now = clock_wall_us();

	if (!json_bool_or(in->x, "stop.force", false))
		return UINT64_MAX;
	(void)json_want_uint(in->x, "stop.deadline_us", &deadline, NULL);
	return now < deadline ? (deadline - now) / 1000 : 0;
}

/* Processes end in order, as far as there is time. */
static void
drain(struct control_incoming *in)
{
	uint64_t	 began = loop_now_ms(in->c->loop), until;

	while (in->leaving > 0 && !in->ended) {
		until = began + DRAIN_MS;
		if (time_left(in) / DRAIN_PART < DRAIN_MS)
			until = MIN(until, loop_now_ms(in->c->loop) +
			    time_left(in) / DRAIN_PART);
		if (fiber_cond_wait_until(&in->stopped, until) != 0)
			break;
	}
	if (in->leaving > 0 && !in->ended)
		log_warning("some processes do not end; going on without "
		    "them");
}

/* Until it is tried again; less when it became urgent. */
static void
wait_again(struct control_incoming *in, uint32_t ms)
{
	uint64_t	 until = loop_now_ms(in->c->loop) +
			    MIN(ms, time_left(in));
	bool		 urgent = json_bool_or(in->x, "stop.force", false);

	while (!in->ended &&
	    urgent == json_bool_or(in->x, "stop.force", false) &&
	    fiber_cond_wait_until(&in->stopped, until) == 0)
		;
}

/* The source lets go: holds, queues, processes, and its own state. */
static void
tell_source(struct control_incoming *in)
{
	struct backoff		 backoff = BACKOFF_INIT(250, 5000);
	struct incoming_ask	 q = { .method = "DELETE",
				    .timeout_ms = ASK_MS };
	struct err_msg		 m = { "" };
	char			*id = url_encode(in->c->cluster_id), *path;
	const char		*mode;
	uint64_t		 left;
	bool			 told = false;
	int			 r = ERR_BAD_STATE;

	mode = json_string_or(in->x, "stop.source_server_mode", NULL);
	path = xasprintf("/_api/sync/outgoing/%s%s%s", id,
	    mode != NULL ? "?server_mode=" : "", mode != NULL ? mode : "");
	q.path = path;
	if (in->source == NULL)
		(void)incoming_open_source(in, &m);
	in->telling = &q;
	while (in->source != NULL && !in->ended && (left = time_left(in)) > 0) {
		q.until_ms = left == UINT64_MAX ? 0 :
		    loop_now_ms(in->c->loop) + left;
		r = incoming_source_call(in->source, &q, NULL, &m);
		if (r == 0 || q.status == 404) {
			told = true;
			break;
		}
		if (in->ended)
			break;
		if (r != ERR_CANCELLED)
			log_warning("the source was not told to end: %s; "
			    "trying again", m.text);
		wait_again(in, backoff_failed(&backoff,
		    loop_now_ms(in->c->loop)));
	}
	in->telling = NULL;
	free(path);
	free(id);
	if (in->ended)
		return;
	in->aborted = !told;
	if (!told)
		log_error("the source was not told (%s); use \"arangosync "
		    "abort outgoing sync\" there", m.text);
}

/* What was recorded for this synchronization. */
static void
remove_records(struct control_incoming *in)
{
	char	*dir = xasprintf("%s/applied", in->c->conf->data_dir);
	int	 r = fsx_remove_tree(dir);

	if (r != 0 && r != -ENOENT)
		log_warning("%s: %s", dir, err_text(r));
	free(dir);
}

static int
remove_state(struct control_incoming *in, struct err_msg *m)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	int			 r;

	agency_trx_delete(&t, INCOMING_KEY);
	agency_trx_delete(&t, INCOMING_X);
	agency_trx_delete(&t, INCOMING_SHARDS);
	if (in->aborted)
		agency_trx_set_text(&t, CONTROL_ROOT "/x/incomingAborted",
		    "true", 0);
	r = incoming_write(in, &t, m);
	agency_trx_free(&t);
	return r;
}

/* Steps that are tried until they succeed. */
static void
finish(struct control_incoming *in)
{
	struct backoff	 backoff = BACKOFF_INIT(250, 5000);
	struct err_msg	 m = { "" };
	bool		 readonly = strcmp(json_string_or(in->x,
			    "stop.target_server_mode", "default"),
			    "readonly") == 0;
	int		 r;

	while (!in->ended) {
		if ((r = incoming_unguard(in, readonly, &m)) == 0 &&
		    !in->ended && (r = remove_state(in, &m)) == 0)
			break;
		if (in->ended)
			return;
		log_warning("cancelling: %s; trying again", m.text);
		(void)arango_sleep(&in->cancel, backoff_failed(&backoff,
		    loop_now_ms(in->c->loop)));
	}
	if (in->ended)
		return;
	remove_records(in);
	map_free(&in->forgotten, NULL);
	incoming_source_free(&in->source);
	incoming_set_conf(in, NULL, NULL);
	in->plan = 0;
	in->pending = 0;
	json_object_put(in->notes);
	in->notes = NULL;
	in->trouble[0] = '\0';
	log_notice("synchronization is inactive%s", in->aborted ?
	    "; it was aborted" : "");
}

void
incoming_stop_run(void *arg)
{
	struct control_incoming	*in = arg;

	if (in->running)
		incoming_workers_stop(in);
	drain(in);
	if (!in->ended)
		tell_source(in);
	if (!in->ended)
		finish(in);
	in->stopping = false;
	(void)fiber_cond_broadcast(&in->stopped);
	incoming_release(&in);
}
