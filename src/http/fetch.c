/* fetch.c - one HTTP request, waited for, on a loop of its own */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "ev/loop.h"
#include "http/client.h"

struct fetch {
	struct loop		*loop;
	struct http_result	*res;
	void			*arg;		/* the caller's */
	const struct http_call_opts *o;
	bool			 done;
};

static int
fetch_status(void *arg, struct http_call *call, int status)
{
	struct fetch	*f = arg;

	return f->o->on_status(f->arg, call, status);
}

static int
fetch_data(void *arg, struct http_call *call, const uint8_t *p, size_t n)
{
	struct fetch	*f = arg;

	return f->o->on_data(f->arg, call, p, n);
}

static long
fetch_upload(void *arg, uint8_t *p, size_t n)
{
	struct fetch	*f = arg;

	return f->o->on_upload(f->arg, p, n);
}

static void
fetch_done(void *arg, struct http_result *res)
{
	struct fetch		*f = arg;
	const char		*name, *value;
	size_t			 i, n = http_call_header_count(res->call);

	*f->res = *res;
	res->body = (struct buf)BUF_INIT;
	f->res->call = NULL;
	f->res->headers = xcalloc(n + 1, sizeof(*f->res->headers));
	for (i = 0; i < n; i++) {
		http_call_header_at(res->call, i, &name, &value);
		f->res->headers[i] = xasprintf("%s: %s", name, value);
	}
	f->done = true;
	loop_stop(f->loop);
}

int
http_client_fetch(const struct http_client_opts *copts,
    const struct http_call_opts *opts, struct http_result *res)
{
	static const struct http_client_opts	 defaults =
	    HTTP_CLIENT_OPTS_INIT;
	struct http_call_opts			 o = *opts;
	struct http_client			*c = NULL;
	struct fetch				 f = { 0 };

	memset(res, 0, sizeof(*res));
	if ((f.loop = loop_new()) == NULL)
		return res->err = err_set(&res->msg, -errno,
		    "cannot make an event loop: %s", strerror(errno));
	f.res = res;
	f.o = opts;
	f.arg = opts->arg;
	o.arg = &f;
	o.on_done = fetch_done;
	if (o.on_status != NULL)
		o.on_status = fetch_status;
	if (o.on_data != NULL)
		o.on_data = fetch_data;
	if (o.on_upload != NULL)
		o.on_upload = fetch_upload;
	res->err = http_client_new(f.loop, copts == NULL ? &defaults : copts,
	    &c, &res->msg);
	if (res->err == 0)
		res->err = http_client_start(c, &o, NULL, &res->msg);
	if (res->err == 0) {
		loop_run(f.loop);
		if (!f.done)
			res->err = err_set(&res->msg, ERR_CANCELLED,
			    "the request was not carried out");
	}
	http_client_free(&c);
	loop_free(&f.loop);
	return res->err;
}

const char *
http_result_header(const struct http_result *res, const char *name)
{
	size_t	 n = strlen(name);
	char	**h;

	if (res->call != NULL)
		return http_call_header(res->call, name);
	for (h = res->headers; h != NULL && *h != NULL; h++)
		if (strncasecmp(*h, name, n) == 0 && (*h)[n] == ':')
			return *h + n + 2;
	return NULL;
}

void
http_result_free(struct http_result *res)
{
	char	**h;

	for (h = res->headers; h != NULL && *h != NULL; h++)
		free(*h);
	free(res->headers);
	buf_free(&res->body);
	memset(res, 0, sizeof(*res));
}
