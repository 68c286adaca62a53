/*
 * call.c - requests to control, and to the master that leads.
 *
 * A call waits in a list until control answers; when control is restarted the
 * calls that it had are answered 503, which callers take for temporary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/api.h"
#include "api/session.h"
#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "ev/loop.h"
#include "ipc/codec.h"
#include "ipc/peer.h"
#include "ipc/rules.h"

#define ANSWER_MAX_BYTES	((size_t)64 * 1024 * 1024)
#define FORWARD_TIMEOUT_MS	30000
#define FORWARD_TOKEN_S		60

/* On the stack of the fiber that waits. */
struct api_call {
	struct api_call	*next;
	struct api	*api;
	struct fiber	*fiber;
	uint32_t	 id;
	bool		 done;
	int		 status;		/* 0: no answer */
	char		*forward;
	struct buf	 body;
};

static void
end_call(struct api *a, struct api_call *call)
{
	struct api_call	**p;

	for (p = &a->calls; *p != NULL && *p != call; p = &(*p)->next)
		;
	if (*p == NULL)
		return;
	*p = call->next;
	call->done = true;
	fiber_wake(call->fiber);
}

/* ---- the connection --------------------------------------------------------------- */

static int
on_answer(struct msg_in *in)
{
	struct api	*a = in->ctx;
	struct api_call	*call;
	const uint8_t	*body;
	uint16_t	 status;
	size_t		 len;
	char		*forward = NULL;
	int		 r;

	if ((r = get_u16(&in->body, &status)) != 0 ||
	    (r = get_str_dup(&in->body, 4096, &forward)) != 0 ||
	    (r = get_bytes(&in->body, &body, &len)) != 0 ||
	    (r = get_end(&in->body)) != 0) {
		free(forward);
		return r;
	}
	for (call = a->calls; call != NULL; call = call->next)
		if (call->id == in->id)
			break;
	if (call == NULL) {		/* it gave up */
		free(forward);
		return 0;
	}
	call->status = status;
	call->forward = forward;
	buf_append(&call->body, body, len);
	end_call(a, call);
	return 0;
}

static const struct msg_rule	 from_control[] = {
	{ MSG_API_CALL_ANS, 1, 10, ANSWER_MAX_BYTES, on_answer },
	{ 0, 0, 0, 0, NULL }
};

static int
on_message(struct peer *p, const struct frame *f, void *arg)
{
	int	 r = msg_dispatch_known(api_session_rules, 1, arg, p, f);

	return r == ERR_NOT_FOUND ? msg_dispatch(from_control, 1, arg, p, f) :
	    r;
}

static void
on_lost(struct peer *p, int why, void *arg)
{
	struct api	*a = arg;

	if (a->control == p) {
		a->control = NULL;
		while (a->calls != NULL)
			end_call(a, a->calls);
	}
	peer_free(&p);
}

static const struct peer_ops	 control_ops = {
	.message = on_message, .lost = on_lost
};

void
api_connect_control(struct api *a, int fd)
{
	if (a->control != NULL)
		peer_free(&a->control);
	while (a->calls != NULL)
		end_call(a, a->calls);
	a->control = peer_new(fd, "control", &control_ops, a);
	peer_set_limits(a->control, ANSWER_MAX_BYTES, PEER_LOW_BYTES,
	    PEER_HIGH_BYTES);
	if (peer_attach(a->control, a->loop) != 0)
		peer_free(&a->control);
	else
		api_sessions_control(a->sessions);
}

/* ---- calls ------------------------------------------------------------------------- */

/* control is stopped, or busy with something else. */
static void
on_timeout(void *arg)
{
	struct api_call	*call = arg;

	end_call(call->api, call);
}

/*
 * Comparing a shard and cancelling take as long as the caller allows, and
 * control keeps that time; a control that is stuck is noticed by others.
 */
static uint32_t
patience_ms(struct http_req *req, uint32_t usual_ms)
{
	const char	*path = http_req_path(req);

	if (str_ends_with(path, "/checksum") ||
	    (http_req_method(req) == HTTP_DELETE &&
	    strcmp(path, "/_api/sync") == 0))
		return API_CONTROL_LONG_MS;
	return usual_ms;
}

/* Waits; call->status 0 when control did not answer. */
static void
ask(struct api *a, struct http_req *req, enum api_who who,
    struct api_call *call)
{
	struct loop_timer *timer;
	struct buf	 b = BUF_INIT;
	const uint8_t	*body;
	const char	*query;
	size_t		 len;

	if (a->control == NULL)
		return;
	call->api = a;
	call->fiber = fiber_self();
	call->id = peer_next_id(a->control);
	body = http_req_body(req, &len);
	query = strchr(http_req_target(req), '?');
	put_str(&b, http_method_name(http_req_method(req)));
	put_str(&b, http_req_path(req));
	put_str(&b, query == NULL ? "" : query + 1);
	put_str(&b, api_who_name(who));
	put_bytes(&b, body, len);
	call->next = a->calls;
	a->calls = call;
	if (peer_send_buf(a->control, MSG_API_CALL_REQ, call->id, &b) != 0)
		end_call(a, call);
	buf_free(&b);
	timer = loop_timer_new(a->loop, on_timeout, call);
	loop_timer_start(timer, patience_ms(req, API_CONTROL_TIMEOUT_MS));
	while (!call->done)
		fiber_suspend();
	loop_timer_free(&timer);
}

struct passed {
	struct fiber	*fiber;
	bool		 done;
	int		 status;
	struct buf	 body;
};

static void
on_passed(void *arg, struct http_result *res)
{
	struct passed	*p = arg;

	p->done = true;
	p->status = res->err == 0 ? res->status : 0;
	p->body = res->body;
	res->body = (struct buf)BUF_INIT;
	fiber_wake(p->fiber);
}

/*
 * Credentials for the leader: we know who is asking, and vouch for it with a
 * token of the secret that all masters of a datacenter share (a client
 * certificate cannot be passed on).  Without such a secret: the caller's own.
 */
static char *
forward_header(struct api *a, struct http_req *req)
{
	const char	*auth = http_req_header(req, "authorization");
	char		*token, *line;

	if (a->secrets.count == 0)
		return auth == NULL ? NULL :
		    xasprintf("authorization: %s", auth);
	token = jwt_make_superuser(&a->secrets, "arangosync",
	    (int64_t)time(NULL) + FORWARD_TOKEN_S);
	line = xasprintf("authorization: bearer %s", token);
	free(token);
	return line;
}

/*
 * The same request to the master that leads.  One hop: without the header
 * that asks for it.
 */
static bool
pass_on(struct api *a, struct http_req *req, const char *leader)
{
	struct http_call_opts	 o = HTTP_CALL_OPTS_INIT;
	struct passed		 p = { fiber_self(), false, 0, BUF_INIT };
	const char		*headers[3] = { NULL, NULL, NULL };
	char			*url, *line = forward_header(a, req);
	size_t			 len;

	headers[0] = "content-type: application/json";
	headers[1] = line;
	url = xasprintf("%s%s", leader, http_req_target(req));
	o.method = http_method_name(http_req_method(req));
	o.url = url;
	o.headers = headers;
	o.body = http_req_body(req, &len);
	o.body_len = len;
	o.body_mode = HTTP_BODY_COPY;
	o.total_timeout_ms = patience_ms(req, FORWARD_TIMEOUT_MS);
	o.max_body_bytes = ANSWER_MAX_BYTES;
	o.on_done = on_passed;
	o.arg = &p;
	if (http_client_start(a->client, &o, NULL, NULL) == 0)
		while (!p.done)
			fiber_suspend();
	free(url);
	free(line);
	if (p.status != 0)
		http_reply(req, p.status, "application/json", &p.body);
	buf_free(&p.body);
	return p.status != 0;
}

void
api_refuse(struct http_req *req, int status, const char *text)
{
	struct buf	 b = BUF_INIT;

	buf_printf(&b, "{\"Error\":\"%s\"}", text);
	http_reply(req, status, "application/json", &b);
	buf_free(&b);
}

static bool
wants_forwarding(struct http_req *req)
{
	const char	*v = http_req_header(req, "x-allow-forward-to-leader");

	return v != NULL && strcmp(v, "true") == 0;
}

void
api_ask_control(struct api *a, struct http_req *req, enum api_who who)
{
	struct api_call	 call = { .body = BUF_INIT };

	ask(a, req, who, &call);
	if (call.status == 0)
		api_refuse(req, 503, a->control == NULL ?
		    "starting: service unavailable" :
		    "no answer in time: service unavailable");
	else if (call.forward[0] == '\0' || !wants_forwarding(req) ||
	    !pass_on(a, req, call.forward))
		http_reply(req, call.status, "application/json", &call.body);
	free(call.forward);
	buf_free(&call.body);
}
