/* client_call.c - one call: from http_client_start() to on_done */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
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

/* libcurl allocates these anew for each call: what is streamed is worth a large
 * one; what is sent is copied there, and should still be in the cache then. */
#define CURL_STREAM_BYTES	(512L * 1024)
#define CURL_ANSWER_BYTES	(64L * 1024)
#define CURL_UPLOAD_BYTES	(128L * 1024)
#define ANSWER_HEADER_MAX_BYTES	((size_t)1024 * 1024)

/* ---- callbacks of a call ------------------------------------------------ */

/* End the call with an error of ours; for use inside of callbacks. */
static void
give_up(struct http_call *call, int err, const char *text)
{
	if (call->err == 0) {
		call->err = err;
		err_set(&call->msg, err, "%s", text);
	}
}

static void
forget_header(struct http_call *call)
{
	while (call->n_lines > 0) {
		call->n_lines--;
		free(call->lines[call->n_lines].name);
		free(call->lines[call->n_lines].value);
	}
	call->header_bytes = 0;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_call	*call = arg;
	size_t			 len = size * n, nname;
	char			*colon;

	if (call->dead)
		return 0;
	/* A new status line (after 100 Continue) starts a new header. */
	if (len >= 5 && memcmp(p, "HTTP/", 5) == 0) {
		forget_header(call);
		return len;
	}
	call->header_bytes += len;
	if (call->header_bytes > ANSWER_HEADER_MAX_BYTES) {
		give_up(call, ERR_TOO_BIG, "header of the answer is too long");
		return 0;
	}
	if ((colon = memchr(p, ':', len)) == NULL)
		return len;
	nname = (size_t)(colon - p);
	n = len - nname - 1;
	colon++;
	while (n > 0 && (*colon == ' ' || *colon == '\t')) {
		colon++;
		n--;
	}
	while (n > 0 && strchr(" \t\r\n", colon[n - 1]) != NULL)
		n--;
	if (call->n_lines == call->cap_lines) {
		call->cap_lines = MAX(call->cap_lines * 2, 16);
		call->lines = xrealloc(call->lines,
		    call->cap_lines * sizeof(*call->lines));
	}
	call->lines[call->n_lines].name = xstrndup(p, nname);
	call->lines[call->n_lines].value = xstrndup(colon, n);
	call->n_lines++;
	return len;
}

/* Once, before the first byte of the body and at the latest at the end. */
static int
tell_status(struct http_call *call)
{
	long	 status = 0;
	int	 r;

	if (call->status_told)
		return 0;
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	call->status = (int)status;
	call->status_told = true;
	if (call->o.on_status == NULL || status == 0)
		return 0;
	r = call->o.on_status(call->o.arg, call, call->status);
	if (r < 0 && !call->dead)
		give_up(call, r, "given up after the header of the answer");
	return r < 0 || call->dead ? -1 : 0;
}

static size_t
on_write(char *p, size_t size, size_t n, void *arg)
{
	struct http_call	*call = arg;
	size_t			 len = size * n;
	int			 r;

	if (call->dead || tell_status(call) != 0)
		return 0;
	if (call->paused)
		return CURL_WRITEFUNC_PAUSE;
	call->received += len;
	if (call->o.on_data != NULL) {
		r = call->o.on_data(call->o.arg, call, (uint8_t *)p, len);
		if (call->dead)
			return 0;
		if (r < 0) {
			give_up(call, r, "given up while reading the answer");
			return 0;
		}
		return len;
	}
	if (len > call->o.max_body_bytes - call->body.len) {
		give_up(call, ERR_TOO_BIG, "body of the answer is too large");
		return 0;
	}
	if (buf_try_reserve(&call->body, len) != 0) {
		give_up(call, -ENOMEM, "no memory for the answer");
		return 0;
	}
	buf_append(&call->body, p, len);
	return len;
}

static size_t
on_read(char *p, size_t size, size_t n, void *arg)
{
	struct http_call	*call = arg;
	size_t			 room = size * n;
	long			 got;

	if (call->dead)
		return CURL_READFUNC_ABORT;
	if (call->upload_left < room)
		room = (size_t)call->upload_left;
	if (room == 0)
		return 0;
	got = call->o.on_upload(call->o.arg, (uint8_t *)p, room);
	if (call->dead)
		return CURL_READFUNC_ABORT;
	if (got < 0) {
		give_up(call, (int)got, "given up while sending");
		return CURL_READFUNC_ABORT;
	}
	if (got == 0) {
		call->upload_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	bug_unless((size_t)got <= room);
	call->upload_left -= (uint64_t)got;
	return (size_t)got;
}

/* libcurl sends it once more. */
static int
on_seek(void *arg, curl_off_t offset, int origin)
{
	struct http_call	*call = arg;

	if (call->dead || call->o.on_rewind == NULL || offset != 0 ||
	    origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	call->upload_left = (uint64_t)call->o.upload_len;
	call->o.on_rewind(call->o.arg);
	return CURL_SEEKFUNC_OK;
}

/*
 * libcurl silently sends a request again when a connection of the pool turns
 * out to be dead.  The first one may have been executed, so this is for
 * requests without effects only.
 */
#if LIBCURL_VERSION_NUM >= 0x075000
static int
on_send(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct http_call	*call = arg;

	if (call->sent++ > 0 && !call->repeatable) {
		give_up(call, ERR_CLOSED, "connection was lost");
		return CURL_PREREQFUNC_ABORT;
	}
	return CURL_PREREQFUNC_OK;
}
#endif

static CURLcode
on_ssl_ctx(CURL *easy, void *ssl, void *arg)
{
	struct http_call	*call = arg;
	struct http_client	*c = call->client;
	int			 r = 0;

	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	if (c->o.tls_read_ahead != 0) {
		SSL_CTX_set_read_ahead(ssl, 1);
		SSL_CTX_set_default_read_buffer_len(ssl, c->o.tls_read_ahead);
	}
	if (c->o.ca_pem != NULL)
		r = tls_add_authorities(ssl, "authorities of servers",
		    c->o.ca_pem, c->o.ca_pem_len, &call->msg);
	if (r == 0 && c->o.cert_pem != NULL)
		r = tls_use_keypair(ssl, "client certificate", c->o.cert_pem,
		    c->o.cert_pem_len, &call->msg);
	if (r != 0)
		call->err = r;
	return r == 0 ? CURLE_OK : CURLE_ABORTED_BY_CALLBACK;
}

/* ---- starting a call ---------------------------------------------------- */

static void
add_header(struct http_call *call, const char *line)
{
	struct curl_slist	*l = curl_slist_append(call->headers, line);

	if (l == NULL)
		fatal("out of memory (libcurl)");
	call->headers = l;
}

static int
set_headers(struct http_call *call, struct err_msg *m)
{
	const char *const	*h = call->o.headers;
	bool			 has_type = false;
	char			*line;

	for (; h != NULL && *h != NULL; h++) {
		if (strpbrk(*h, "\r\n") != NULL || strchr(*h, ':') == NULL)
			return err_set(m, ERR_USAGE, "bad header line");
		if (strncasecmp(*h, "content-type:", 13) == 0)
			has_type = true;
		/* "name:" alone would remove it; "name;" sends it empty. */
		if ((*h)[strlen(*h) - 1] == ':') {
			line = xstrdup(*h);
			line[strlen(line) - 1] = ';';
			add_header(call, line);
			free(line);
		} else
			add_header(call, *h);
	}
	if (!has_type)
		add_header(call, "Content-Type:");
	add_header(call, "Expect:");
	curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
	return 0;
}

static void
set_body(struct http_call *call)
{
	const char	*method = call->o.method;
	CURL		*e = call->easy;
	bool		 wants_body = strcmp(method, "POST") == 0 ||
			     strcmp(method, "PUT") == 0 ||
			     strcmp(method, "PATCH") == 0;

	if (call->o.upload_len >= 0) {
		call->upload_left = (uint64_t)call->o.upload_len;
		curl_easy_setopt(e, CURLOPT_POST, 1L);
		curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(e, CURLOPT_READDATA, call);
		curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(e, CURLOPT_SEEKDATA, call);
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)call->o.upload_len);
	} else if (call->o.body_len > 0 || wants_body) {
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE,
		    (curl_off_t)call->o.body_len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS,
		    call->o.body_len > 0 ? call->o.body : "");
	} else if (strcmp(method, "HEAD") == 0)
		curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
	if (strcmp(method, "HEAD") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, CURL_UPLOAD_BYTES);
}

static void
set_transport(struct http_call *call)
{
	struct http_client	*c = call->client;
	const struct http_call_opts *o = &call->o;
	CURL			*e = call->easy;
	long			 verify = c->o.no_verify ? 0 : 1;

	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* The environment must not send our secrets through a proxy. */
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION,
	    (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_BUFFERSIZE, o->on_data != NULL ?
	    CURL_STREAM_BYTES : CURL_ANSWER_BYTES);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
	    (long)o->connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->total_timeout_ms);
	if (o->stall_timeout_ms != 0) {
		curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
		curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME,
		    (long)((o->stall_timeout_ms + 999) / 1000));
	}
	if (o->unix_socket != NULL)
		curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, o->unix_socket);
	if (o->fresh_connection)
		curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, verify);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, verify * 2);
	if (c->o.ca_pem != NULL) {
		curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, call);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(e, CURLOPT_PROTOCOLS,
	    CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
	if (c->o.user_agent != NULL)
		curl_easy_setopt(e, CURLOPT_USERAGENT, c->o.user_agent);
}

static void
set_callbacks(struct http_call *call)
{
	CURL	*e = call->easy;

	curl_easy_setopt(e, CURLOPT_PRIVATE, call);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->curl_text);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, call);
#if LIBCURL_VERSION_NUM >= 0x075000
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_send);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, call);
#endif
}

static void
resume(void *arg)
{
	struct http_call	*call = arg;
	struct http_client	*c = call->client;

	if (call->done || call->dead || call->to_add)
		return;
	http_client_enter(c);
	/* Gives bytes that waited to on_write() at once. */
	c->in_curl = true;
	curl_easy_pause(call->easy,
	    (call->paused ? CURLPAUSE_RECV : 0) |
	    (call->upload_paused ? CURLPAUSE_SEND : 0));
	c->in_curl = false;
	http_client_reap(c);
	http_client_read_on(c);
	http_client_leave(c);
}

int
http_client_start(struct http_client *c, const struct http_call_opts *o,
    struct http_call **out, struct err_msg *m)
{
	struct http_call	*call = xcalloc(1, sizeof(*call));
	enum http_method	 method;
	void			*copy;
	int			 r = 0;

	call->client = c;
	call->fd = CURL_SOCKET_BAD;
	call->o = *o;
	call->owns_body = o->body_mode == HTTP_BODY_OWN;
	if (o->body_mode == HTTP_BODY_COPY && o->body_len > 0) {
		if ((copy = malloc(o->body_len)) == NULL) {
			free(call);
			return err_set(m, -ENOMEM, "no memory for a request "
			    "of %zu bytes", o->body_len);
		}
		memcpy(copy, o->body, o->body_len);
		call->o.body = copy;
		call->owns_body = true;
	}
	loop_task_init(&call->resume_task, resume, call);
	call->next = c->calls;
	if (call->next != NULL)
		call->next->prev = call;
	c->calls = call;
	if ((call->easy = curl_easy_init()) == NULL)
		fatal("out of memory (libcurl)");
	if (http_method_parse(o->method, strlen(o->method), &method) != 0)
		r = err_set(m, ERR_USAGE, "unknown method %.50s", o->method);
	call->repeatable = o->may_repeat || strcmp(o->method, "GET") == 0 ||
	    strcmp(o->method, "HEAD") == 0;
	if (r == 0)
		r = set_headers(call, m);
	if (r == 0) {
		set_callbacks(call);
		set_transport(call);
		set_body(call);
		if (curl_easy_setopt(call->easy, CURLOPT_URL, o->url) !=
		    CURLE_OK)
			r = err_set(m, ERR_USAGE, "bad URL %.300s", o->url);
	}
	if (r == 0 && c->in_curl)
		call->to_add = c->any_new = true;
	else if (r == 0 &&
	    curl_multi_add_handle(c->multi, call->easy) != CURLM_OK)
		r = err_set(m, ERR_HTTP, "libcurl takes no more requests");
	if (r != 0) {
		http_call_free(call);
		return r;
	}
	/* The caller's; only for as long as this call takes. */
	call->o.headers = NULL;
	call->o.url = call->o.method = call->o.unix_socket = NULL;
	if (out != NULL)
		*out = call;
	return 0;
}

/* ---- the end of a call -------------------------------------------------- */

void
http_call_free(struct http_call *call)
{
	struct http_client	*c = call->client;

	*(call->prev == NULL ? &c->calls : &call->prev->next) = call->next;
	if (call->next != NULL)
		call->next->prev = call->prev;
	loop_task_cancel(&call->resume_task);
	if (call->easy != NULL) {
		/* Harmless for one that was never added. */
		curl_multi_remove_handle(c->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	curl_slist_free_all(call->headers);
	if (call->owns_body)
		free((void *)(uintptr_t)call->o.body);
	forget_header(call);
	free(call->lines);
	buf_free(&call->body);
	free(call);
}

static int
curl_err(CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return ERR_NOT_FOUND;
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_PARTIAL_FILE:
		return ERR_CLOSED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
		return ERR_TLS;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		return ERR_USAGE;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_BAD_CONTENT_ENCODING:
		return ERR_PROTOCOL;
	default:
		return ERR_HTTP;
	}
}

static void
fill_result(struct http_call *call, CURLcode code, struct http_result *res)
{
	curl_off_t	 n = 0, us = 0;
	long		 request = 0;

	memset(res, 0, sizeof(*res));
	res->call = call;
	curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request);
	curl_easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &n);
	curl_easy_getinfo(call->easy, CURLINFO_TOTAL_TIME_T, &us);
	res->status = call->status;
	res->sent_bytes = (uint64_t)n;
	res->received_bytes = call->received;
	res->elapsed_us = (uint64_t)us;
	res->maybe_sent = request > 0 || call->sent > 1 || call->status != 0;
	res->body = call->body;
	call->body = (struct buf)BUF_INIT;
	if (call->err != 0) {
		res->err = call->err;
		res->msg = call->msg;
	} else if (code != CURLE_OK) {
		res->err = curl_err(code);
		/* Hung up during the handshake, without an alert: nothing
		 * was refused. */
		if (code == CURLE_SSL_CONNECT_ERROR &&
		    (strstr(call->curl_text, "SSL routines") == NULL ||
		    strstr(call->curl_text, "unexpected eof") != NULL))
			res->err = ERR_CLOSED;
		/* With TLS 1.3 a client certificate is refused after the
		 * handshake: an alert instead of an answer. */
		if (res->err == ERR_CLOSED && call->received == 0 &&
		    strstr(call->curl_text, "SSL routines") != NULL &&
		    strstr(call->curl_text, " alert ") != NULL)
			res->err = ERR_TLS;
		curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &request);
		if (code == CURLE_COULDNT_CONNECT && request != 0)
			res->err = -(int)request;
		err_set(&res->msg, res->err, "%s", call->curl_text[0] != '\0' ?
		    call->curl_text : curl_easy_strerror(code));
	}
}

void
http_call_finish(struct http_call *call, CURLcode code)
{
	struct http_client	*c = call->client;
	struct http_result	 res;

	if (code == CURLE_OK && tell_status(call) != 0 && call->dead)
		return;
	fill_result(call, code, &res);
	call->done = true;
	http_client_enter(c);
	if (call->o.on_done != NULL)
		call->o.on_done(call->o.arg, &res);
	buf_free(&res.body);
	call->dead = c->any_dead = true;
	http_client_leave(c);
}

void
http_call_cancel(struct http_call **callp)
{
	struct http_call	*call = *callp;
	struct http_client	*c;

	*callp = NULL;
	if (call == NULL)
		return;
	c = call->client;
	call->dead = c->any_dead = true;
	http_client_enter(c);
	http_client_leave(c);
}

void
http_call_pause(struct http_call *call)
{
	call->paused = true;
}

void
http_call_resume(struct http_call *call)
{
	if (!call->paused)
		return;
	call->paused = false;
	loop_task_post(call->client->loop, &call->resume_task);
}

void
http_call_resume_upload(struct http_call *call)
{
	if (!call->upload_paused)
		return;
	call->upload_paused = false;
	loop_task_post(call->client->loop, &call->resume_task);
}

/* ---- header of the answer ----------------------------------------------- */

const char *
http_call_header(const struct http_call *call, const char *name)
{
	size_t	 i;

	for (i = 0; i < call->n_lines; i++)
		if (strcasecmp(call->lines[i].name, name) == 0)
			return call->lines[i].value;
	return NULL;
}

size_t
http_call_header_count(const struct http_call *call)
{
	return call->n_lines;
}

void
http_call_header_at(const struct http_call *call, size_t i, const char **name,
    const char **value)
{
	bug_unless(i < call->n_lines);
	*name = call->lines[i].name;
	*value = call->lines[i].value;
}

int
http_call_status(const struct http_call *call)
{
	return call->status;
}
