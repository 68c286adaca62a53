/* client.c - libcurl's multi interface on our loop */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/err.h"
#include "ev/loop.h"
#include "http/client_priv.h"
#include "http/ossl.h"
#include "http/server.h"
#include "http/tls.h"

/* Records that TLS has read ahead are taken before others have their turn. */
#define READ_AHEAD_TURNS	64

static int	on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
		    void *fdarg);
static int	on_timer(CURLM *multi, long ms, void *arg);
static void	on_fd(void *arg, int events);
static void	on_timeout(void *arg);

/* ---- client ------------------------------------------------------------- */

static void
global_init(void)
{
	static bool	 done;

	if (done)
		return;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		fatal("libcurl cannot be initialised");
	signal(SIGPIPE, SIG_IGN);
	done = true;
}

static char *
copy_bytes(const char *p, size_t n)
{
	char	*s;

	if (p == NULL)
		return NULL;
	s = xmalloc(n + 1);
	memcpy(s, p, n);
	s[n] = '\0';
	return s;
}

/* Certificates are read now, so that a bad one is an error of this call. */
static int
check_tls(const struct http_client_opts *o, struct err_msg *m)
{
	struct tls_client_opts	 t = {
		.ca_pem = o->ca_pem, .ca_pem_len = o->ca_pem_len,
		.cert_pem = o->cert_pem, .cert_pem_len = o->cert_pem_len
	};
	struct tls_ctx		*ctx;
	int			 r;

	if (o->ca_pem == NULL && o->cert_pem == NULL)
		return 0;
	if ((r = tls_client_new(&t, &ctx, m)) == 0)
		tls_ctx_free(&ctx);
	return r;
}

int
http_client_new(struct loop *loop, const struct http_client_opts *o,
    struct http_client **out, struct err_msg *m)
{
	struct http_client	*c;
	int			 r;

	global_init();
	if ((r = check_tls(o, m)) != 0)
		return r;
	c = xcalloc(1, sizeof(*c));
	c->loop = loop;
	c->o = *o;
	c->o.ca_pem = copy_bytes(o->ca_pem, o->ca_pem_len);
	c->o.cert_pem = copy_bytes(o->cert_pem, o->cert_pem_len);
	c->o.user_agent = o->user_agent == NULL ? NULL :
	    xstrdup(o->user_agent);
	if ((c->multi = curl_multi_init()) == NULL)
		fatal("out of memory (libcurl)");
	c->timer = loop_timer_new(loop, on_timeout, c);
	loop_task_init(&c->reap_task, http_client_reap, c);
	loop_task_init(&c->ahead_task, http_client_read_on, c);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	/* HTTP/1.1 only: the servers speak nothing else well. */
	curl_multi_setopt(c->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
	    (long)o->max_connections);
	curl_multi_setopt(c->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
	    (long)o->max_connections_per_host);
	curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS,
	    (long)MAX(o->max_idle_connections, 1));
	*out = c;
	return 0;
}

void
http_client_free(struct http_client **cp)
{
	struct http_client	*c = *cp;
	struct http_call	*call;

	*cp = NULL;
	if (c == NULL)
		return;
	for (call = c->calls; call != NULL; call = call->next)
		call->dead = true;
	c->dead = true;
	http_client_enter(c);
	http_client_leave(c);
}

static void
client_destroy(struct http_client *c)
{
	while (c->calls != NULL)
		http_call_free(c->calls);
	curl_multi_cleanup(c->multi);
	loop_timer_free(&c->timer);
	loop_task_cancel(&c->reap_task);
	loop_task_cancel(&c->ahead_task);
	free((void *)(uintptr_t)c->o.ca_pem);
	if (c->o.cert_pem != NULL)
		OPENSSL_cleanse((void *)(uintptr_t)c->o.cert_pem,
		    c->o.cert_pem_len);
	free((void *)(uintptr_t)c->o.cert_pem);
	free((void *)(uintptr_t)c->o.user_agent);
	free(c);
}

/*
 * Callbacks may start and cancel calls and free the client.  Whatever can
 * call them is wrapped in http_client_enter() and http_client_leave(); what was
 * started or died in
 * between is added or freed at the end.
 */
void
http_client_enter(struct http_client *c)
{
	c->depth++;
}

void
http_client_leave(struct http_client *c)
{
	struct http_call	*call, *next;

	if (--c->depth > 0)
		return;
	if (c->dead) {
		client_destroy(c);
		return;
	}
	if (c->any_dead) {
		c->any_dead = false;
		for (call = c->calls; call != NULL; call = next) {
			next = call->next;
			if (call->dead)
				http_call_free(call);
		}
	}
	if (c->any_new) {
		c->any_new = false;
		for (call = c->calls; call != NULL; call = call->next)
			if (call->to_add) {
				call->to_add = false;
				curl_multi_add_handle(c->multi, call->easy);
			}
	}
}

static void
socket_action(struct http_client *c, curl_socket_t fd, int mask)
{
	int	 running;

	c->in_curl = true;
	curl_multi_socket_action(c->multi, fd, mask, &running);
	c->in_curl = false;
	http_client_reap(c);
}

static void
action(struct http_client *c, curl_socket_t fd, int mask)
{
	http_client_enter(c);
	socket_action(c, fd, mask);
	http_client_read_on(c);
	http_client_leave(c);
}

/* ---- libcurl's events --------------------------------------------------- */

/* NULL for a handle of libcurl's own. */
static struct http_call *
call_of(CURL *easy)
{
	char	*p = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &p);
	return (struct http_call *)(void *)p;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *fdarg)
{
	struct http_client	*c = arg;
	struct watch		*w = fdarg;
	struct http_call	*call = call_of(easy);
	int			 events = 0;

	if (what == CURL_POLL_REMOVE) {
		if (call != NULL && call->fd == fd)
			call->fd = CURL_SOCKET_BAD;
		if (w != NULL) {
			loop_fd_free(&w->w);
			free(w);
			curl_multi_assign(c->multi, fd, NULL);
		}
		return 0;
	}
	if (call != NULL)
		call->fd = fd;
	if (what & CURL_POLL_IN)
		events |= LOOP_READ;
	if (what & CURL_POLL_OUT)
		events |= LOOP_WRITE;
	if (w != NULL) {
		loop_fd_set(w->w, events);
		return 0;
	}
	w = xcalloc(1, sizeof(*w));
	w->client = c;
	w->fd = fd;
	w->w = loop_fd_new(c->loop, fd, events, on_fd, w);
	if (w->w == NULL) {
		free(w);
		return -1;
	}
	curl_multi_assign(c->multi, fd, w);
	return 0;
}

static int
on_timer(CURLM *multi, long ms, void *arg)
{
	struct http_client	*c = arg;

	if (ms < 0)
		loop_timer_stop(c->timer);
	else
		loop_timer_start(c->timer, (uint64_t)ms);
	return 0;
}

static void
on_fd(void *arg, int events)
{
	struct watch	*w = arg;
	int		 mask = 0;

	if (events & LOOP_READ)
		mask |= CURL_CSELECT_IN;
	if (events & LOOP_WRITE)
		mask |= CURL_CSELECT_OUT;
	/* w may be gone after this. */
	action(w->client, w->fd, mask);
}

static void
on_timeout(void *arg)
{
	action(arg, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * Does TLS hold bytes that the descriptor does not show?  Then the last read
 * did not come to their end, which is where OpenSSL wants more from the
 * descriptor.  libcurl only asks for what is decrypted.
 */
static bool
has_read_ahead(const struct http_call *call)
{
	struct curl_tlssessioninfo	*tls;

	if (call->dead || call->done || call->paused ||
	    call->fd == CURL_SOCKET_BAD ||
	    curl_easy_getinfo(call->easy, CURLINFO_TLS_SSL_PTR, &tls) != 0 ||
	    tls->backend != CURLSSLBACKEND_OPENSSL || tls->internals == NULL)
		return false;
	return SSL_has_pending(tls->internals) &&
	    SSL_want(tls->internals) == SSL_NOTHING;
}

void
http_client_read_on(void *arg)
{
	struct http_client	*c = arg;
	struct http_call	*call;
	int			 turns;

	if (c->o.tls_read_ahead == 0)
		return;
	http_client_enter(c);
	for (turns = 0; !c->dead; turns++) {
		for (call = c->calls; call != NULL && !has_read_ahead(call);
		    call = call->next)
			;
		if (call == NULL)
			break;
		if (turns == READ_AHEAD_TURNS) {
			loop_task_post_next(c->loop, &c->ahead_task);
			break;
		}
		socket_action(c, call->fd, CURL_CSELECT_IN);
	}
	http_client_leave(c);
}

/* Tell the callers of all calls that have ended. */
void
http_client_reap(void *arg)
{
	struct http_client	*c = arg;
	struct http_call	*call;
	CURLMsg			*msg;
	CURLcode		 code;
	int			 n;

	http_client_enter(c);
	while (!c->dead &&
	    (msg = curl_multi_info_read(c->multi, &n)) != NULL) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		code = msg->data.result;
		call = call_of(msg->easy_handle);
		if (!call->dead)
			http_call_finish(call, code);
	}
	http_client_leave(c);
}
