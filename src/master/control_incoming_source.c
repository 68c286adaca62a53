/*
 * control_incoming_source.c - requests to the masters of the source.
 *
 * With the client certificate that configure sync gave us, over TLS that is
 * verified with the authorities that it gave.  A follower passes on what only
 * its leader can answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ev/loop.h"
#include "http/client.h"
#include "http/ossl.h"
#include "http/url.h"
#include "json/get.h"
#include "master/control_incoming_priv.h"

#define MASTER_PORT		8629
#define ENDPOINTS_MAX		64
#define ENDPOINT_BYTES_MAX	300
#define DISCOVER_FIRST_MS	250
#define DISCOVER_EVERY_MS	30000
#define CONNECT_MS		5000
#define TIMEOUT_MS		20000
#define ANSWER_MAX_BYTES	((size_t)64 * 1024 * 1024)

struct incoming_waiting {
	struct incoming_waiting *next;
	struct fiber	*fiber;
	struct http_call *call;
	bool		 done;
	int		 err, status;
	struct err_msg	 msg;
	struct buf	 body;
};

struct incoming_source {
	struct loop	*loop;
	struct http_client *client;
	char		**endpoints;
	size_t		 n, good;	/* good: answered last */
	unsigned	 refs;
	bool		 closed;
	struct incoming_waiting *waits;
};

/* ---- making ------------------------------------------------------------- */

static int
take_endpoints(struct incoming_source *s, struct json_object *list,
    struct err_msg *m)
{
	struct err_msg	 why = { "" };
	const char	*text;
	size_t		 i;
	int		 r;

	s->n = json_object_array_length(list);
	s->endpoints = xcalloc(s->n, sizeof(*s->endpoints));
	for (i = 0; i < s->n; i++) {
		text = json_object_get_string(json_object_array_get_idx(list,
		    i));
		r = text == NULL ? err_set(&why, ERR_FORMAT, "null") :
		    url_from_endpoint(text, MASTER_PORT, &s->endpoints[i],
		    &why);
		if (r != 0)
			return err_set(m, r, "Invalid source: %.400s",
			    why.text);
		if (!str_starts_with(s->endpoints[i], "https://"))
			return err_set(m, ERR_FORMAT, "Invalid source: "
			    "\"%.200s\" is not https", text);
	}
	return 0;
}

bool
incoming_source_add(struct incoming_source *s, struct json_object *list)
{
	const char	*text;
	char		*url;
	size_t		 i, k, n;
	bool		 any = false;

	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	for (i = 0; i < n && s->n < ENDPOINTS_MAX; i++) {
		text = json_object_get_string(json_object_array_get_idx(list,
		    i));
		if (text == NULL || url_from_endpoint(text, MASTER_PORT, &url,
		    NULL) != 0)
			continue;
		for (k = 0; k < s->n && strcmp(s->endpoints[k], url) != 0; k++)
			;
		if (k < s->n || !str_starts_with(url, "https://")) {
			free(url);
			continue;
		}
		s->endpoints = xrealloc(s->endpoints, (s->n + 1) *
		    sizeof(*s->endpoints));
		s->endpoints[s->n++] = url;
		any = true;
	}
	return any;
}

const char *
incoming_source_endpoint(const struct incoming_source *s, size_t i)
{
	return s != NULL && i < s->n ? s->endpoints[i] : NULL;
}

static int
open_client(struct incoming_source *s, struct json_object *conf,
    struct err_msg *m)
{
	struct http_client_opts	 o = HTTP_CLIENT_OPTS_INIT;
	struct err_msg		 why = { "" };
	struct buf		 pair = BUF_INIT;
	const char		*ca;
	int			 r;

	ca = json_string_or(conf, "authentication.caCertificate", "");
	buf_printf(&pair, "%s\n%s",
	    json_string_or(conf, "authentication.clientCertificate", ""),
	    json_string_or(conf, "authentication.clientKey", ""));
	o.ca_pem = ca;
	o.ca_pem_len = strlen(ca);
	o.cert_pem = (const char *)pair.data;
	o.cert_pem_len = pair.len;
	r = http_client_new(s->loop, &o, &s->client, &why);
	OPENSSL_cleanse(pair.data, pair.len);
	buf_free(&pair);
	return r == 0 ? 0 : err_set(m, r, "the credentials for the source "
	    "cannot be used: %.400s", why.text);
}

int
incoming_source_new(struct control *c, struct json_object *conf,
    struct incoming_source **out, struct err_msg *m)
{
	struct incoming_source	*s = xcalloc(1, sizeof(*s));
	struct json_object	*list = json_at(conf, "source");
	int			 r;

	s->loop = c->loop;
	s->refs = 1;
	if (!json_object_is_type(list, json_type_array) ||
	    json_object_array_length(list) == 0)
		r = err_set(m, ERR_FORMAT, "source missing");
	else if ((r = take_endpoints(s, list, m)) == 0)
		r = open_client(s, conf, m);
	if (r != 0)
		incoming_source_free(&s);
	*out = s;
	return r;
}

static void
release(struct incoming_source *s)
{
	size_t	 i;

	if (--s->refs > 0)
		return;
	for (i = 0; i < s->n && s->endpoints != NULL; i++)
		free(s->endpoints[i]);
	free(s->endpoints);
	http_client_free(&s->client);
	free(s);
}

static void
cancel(struct incoming_waiting *w)
{
	if (w->done)
		return;
	http_call_cancel(&w->call);
	w->done = true;
	w->err = err_set(&w->msg, ERR_CANCELLED, "cancelled");
	fiber_wake(w->fiber);
}

void
incoming_ask_cancel(struct incoming_ask *q)
{
	if (q != NULL && q->waiting != NULL)
		cancel(q->waiting);
}

/* Ends the calls under way, too. */
void
incoming_source_free(struct incoming_source **sp)
{
	struct incoming_source	*s = *sp;
	struct incoming_waiting	*w;

	*sp = NULL;
	if (s == NULL)
		return;
	s->closed = true;
	for (w = s->waits; w != NULL; w = w->next)
		cancel(w);
	release(s);
}

/* ---- asking ------------------------------------------------------------- */

static void
on_done(void *arg, struct http_result *res)
{
	struct incoming_waiting	*w = arg;

	w->done = true;
	w->call = NULL;
	w->err = res->err;
	w->msg = res->msg;
	w->status = res->status;
	w->body = res->body;
	res->body = (struct buf)BUF_INIT;
	fiber_wake(w->fiber);
}

/* How long one try may take; 0: there is no time left. */
static uint32_t
time_for(const struct incoming_source *s, const struct incoming_ask *q)
{
	uint64_t	 now = loop_now_ms(s->loop);
	uint32_t	 ms = q->timeout_ms == 0 ? TIMEOUT_MS : q->timeout_ms;

	if (q->until_ms == 0)
		return ms;
	return now < q->until_ms ? (uint32_t)MIN(ms, q->until_ms - now) : 0;
}

static void
ask_one(struct incoming_source *s, struct incoming_ask *q,
    const char *endpoint, struct incoming_waiting *w)
{
	static const char *const  headers[] = {
		"X-Allow-Forward-To-Leader: true", "Accept: application/json",
		"Content-Type: application/json", NULL
	};
	struct http_call_opts	  o = HTTP_CALL_OPTS_INIT;
	struct incoming_waiting	**p;
	uint32_t		  ms = time_for(s, q);
	char			 *url = xasprintf("%s%s", endpoint, q->path);

	memset(w, 0, sizeof(*w));
	o.method = q->method == NULL ? "GET" : q->method;
	o.url = url;
	o.headers = headers;
	o.body = q->body;
	o.body_len = q->body == NULL ? 0 : strlen(q->body);
	o.connect_timeout_ms = MIN(CONNECT_MS, MAX(ms, 1));
	o.total_timeout_ms = MAX(ms, 1);
	o.max_body_bytes = ANSWER_MAX_BYTES;
	o.may_repeat = true;
	o.on_done = on_done;
	o.arg = w;
	w->fiber = fiber_self();
	if (s->closed)
		w->err = err_set(&w->msg, ERR_CANCELLED, "cancelled");
	else if (ms == 0)
		w->err = err_set(&w->msg, ERR_TIMEOUT, "not in time");
	else
		w->err = http_client_start(s->client, &o, &w->call, &w->msg);
	free(url);
	if (w->err != 0)
		return;
	w->next = s->waits;
	s->waits = w;
	q->waiting = w;
	while (!w->done)
		fiber_suspend();
	q->waiting = NULL;
	for (p = &s->waits; *p != w; p = &(*p)->next)
		;
	*p = w->next;
}

/* The words of an answer that says no. */
static int
refused(const struct incoming_waiting *w, const char *endpoint,
    struct err_msg *m)
{
	struct json_object	*o = NULL;
	const char		*text = "";

	if (json_parse((const char *)w->body.data, w->body.len, &o,
	    NULL) == 0 && json_object_is_type(o, json_type_object))
		text = json_string_or(o, "Error", "");
	if (*text != '\0')
		err_set(m, ERR_HTTP, "source %.150s: %.300s", endpoint, text);
	else
		err_set(m, ERR_HTTP, "source %.150s: status %d", endpoint,
		    w->status);
	json_object_put(o);
	return ERR_HTTP;
}

static int
take_answer(const struct incoming_waiting *w, const char *endpoint,
    struct json_object **out, struct err_msg *m)
{
	struct err_msg	 why = { "" };
	int		 r;

	if (out == NULL)
		return 0;
	r = json_parse((const char *)w->body.data, w->body.len, out, &why);
	if (r == 0 && json_object_is_type(*out, json_type_object))
		return 0;
	json_object_put(*out);
	*out = NULL;
	return err_set(m, ERR_FORMAT, "source %.150s: the answer is no JSON "
	    "object: %.200s", endpoint, why.text);
}

int
incoming_source_call(struct incoming_source *s, struct incoming_ask *q,
    struct json_object **out, struct err_msg *m)
{
	struct incoming_waiting	*w = xcalloc(1, sizeof(*w));
	const char	*endpoint;
	size_t		 i, at, first = s->good;
	int		 r = ERR_NOT_FOUND;

	if (out != NULL)
		*out = NULL;
	s->refs++;
	for (i = 0; i < s->n; i++) {
		at = (first + i) % s->n;
		endpoint = s->endpoints[at];
		ask_one(s, q, endpoint, w);
		q->status = w->status;
		if (w->err != 0)
			r = err_set(m, w->err, "source %.150s: %.340s",
			    endpoint, w->msg.text);
		else if (w->status == 200)
			r = take_answer(w, endpoint, out, m);
		else
			r = refused(w, endpoint, m);
		buf_free(&w->body);
		if (w->err == ERR_CANCELLED)
			break;
		if (w->err == 0 && w->status < 500 && w->status != 408) {
			s->good = at;
			break;
		}
	}
	release(s);
	free(w);
	return r;
}

/* ---- masters that nobody named ------------------------------------------ */

struct json_object *
incoming_endpoints(struct json_object *list)
{
	struct json_object	*o = json_object_new_array(), *v;
	const char		*text;
	char			*url;
	size_t			 i, n;

	n = json_object_is_type(list, json_type_array) ?
	    json_object_array_length(list) : 0;
	for (i = 0; i < n && json_object_array_length(o) < ENDPOINTS_MAX;
	    i++) {
		v = json_object_array_get_idx(list, i);
		text = json_object_get_string(v);
		if (!json_object_is_type(v, json_type_string) ||
		    strlen(text) > ENDPOINT_BYTES_MAX ||
		    url_from_endpoint(text, MASTER_PORT, &url, NULL) != 0)
			continue;
		if (str_starts_with(url, "https://"))
			json_object_array_add(o, json_object_get(v));
		free(url);
	}
	if (json_object_array_length(o) > 0)
		return o;
	json_object_put(o);
	return NULL;
}

/* For the next leader of ours, who may begin while the named ones are away. */
static void
remember(struct control_incoming *in, struct json_object *list)
{
	struct agency_trx	 t = AGENCY_TRX_INIT;
	struct err_msg		 m = { "" };

	agency_trx_set(&t, INCOMING_X "/endpoints", list, 0);
	if (incoming_write(in, &t, &m) == 0 && in->active)
		json_set(in->x, "endpoints", json_object_get(list));
	agency_trx_free(&t);
}

static void
discover(struct control_incoming *in)
{
	struct incoming_ask	 q = { .path = "/_api/endpoints" };
	struct json_object	*o = NULL, *list;
	struct err_msg		 m = { "" };

	if (incoming_source_call(in->source, &q, &o, &m) != 0)
		return;
	list = incoming_endpoints(json_at(o, "endpoints"));
	if (in->running && in->source != NULL && list != NULL) {
		if (incoming_source_add(in->source, list))
			incoming_tell_link(in);
		if (!json_equal(list, json_at(in->x, "endpoints")))
			remember(in, list);
	}
	json_object_put(list);
	json_object_put(o);
	if (in->running && in->source != NULL)
		incoming_upstream_ask(in, INCOMING_HOPS_MAX);
}

void
incoming_discover(void *arg)
{
	struct control_incoming	*in = arg;
	uint64_t		 ms;

	while (!in->ended) {
		ms = DISCOVER_FIRST_MS;
		if (in->running && in->source != NULL) {
			discover(in);
			ms = DISCOVER_EVERY_MS;
		}
		if (!in->ended)
			(void)arango_sleep(&in->cancel, ms);
	}
	incoming_release(&in);
}
