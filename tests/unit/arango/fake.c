/* fake.c - see fake.h */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "ev/fiber.h"
#include "fake.h"
#include "unit.h"

struct loop	*fake_loop;

struct handler {
	struct fake	*f;
	http_handler	*fn;
	void		*arg;
};

void
fake_start(struct fake *f, http_handler *fn, void *arg)
{
	struct http_server_opts	 so = HTTP_SERVER_OPTS_INIT;
	struct err_msg		 m;

	memset(f, 0, sizeof(*f));
	so.handler = fn;
	so.arg = arg;
	so.max_body_bytes = so.max_total_body_bytes = 100 << 20;
	CU_ASSERT_EQUAL_FATAL(http_server_new(fake_loop, &so, &f->srv, &m), 0);
	snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%d",
	    http_server_port(f->srv));
}

void
fake_stop(struct fake *f)
{
	http_server_free(&f->srv);
}

static void
copy_header(char *to, size_t size, struct http_req *req, const char *name)
{
	const char	*v = http_req_header(req, name);

	str_copy(to, size, v == NULL ? "" : v);
}

void
fake_note(struct fake *f, struct http_req *req)
{
	const uint8_t	*p;
	size_t		 n, len = strlen(f->log);

	f->requests++;
	snprintf(f->log + len, sizeof(f->log) - len, "%s %s\n",
	    http_method_name(http_req_method(req)), http_req_target(req));
	p = http_req_body(req, &n);
	n = MIN(n, sizeof(f->body) - 1);
	if (n > 0)
		memcpy(f->body, p, n);
	f->body[n] = '\0';
	copy_header(f->authorization, sizeof(f->authorization), req,
	    "authorization");
	copy_header(f->type, sizeof(f->type), req, "content-type");
	copy_header(f->accept, sizeof(f->accept), req, "accept");
}

unsigned
fake_count(const struct fake *f, const char *what)
{
	const char	*p = f->log;
	unsigned	 n = 0;

	for (; (p = strstr(p, what)) != NULL; p++)
		n++;
	return n;
}

void
fake_json(struct http_req *req, int status, const char *text)
{
	http_reply_bytes(req, status, "application/json; charset=utf-8", text,
	    strlen(text));
}

static void
number(struct http_req *req, const char *name, uint64_t v)
{
	char	 text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	http_reply_header(req, name, text);
}

void
fake_tail(struct http_req *req, const char *lines, uint64_t included,
    uint64_t scanned, uint64_t last, const char *more,
    const char *from_present)
{
	number(req, "x-arango-replication-lastincluded", included);
	number(req, "x-arango-replication-lastscanned", scanned);
	number(req, "x-arango-replication-lasttick", last);
	http_reply_header(req, "x-arango-replication-checkmore", more);
	http_reply_header(req, "x-arango-replication-frompresent",
	    from_present == NULL ? "true" : from_present);
	http_reply_bytes(req, *lines == '\0' ? 204 : 200,
	    "application/x-arango-dump", lines, strlen(lines));
}

void
fake_begin(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(fake_loop = loop_new());
}

void
fake_end(void)
{
	fake_turn(20);
	CU_ASSERT_EQUAL(fiber_count(fake_loop), 0);
	loop_free(&fake_loop);
}

struct arango *
fake_cluster(const char *url, const struct arango_opts *given)
{
	struct arango_opts	 o = ARANGO_OPTS_INIT;
	const char		*list[] = { url, NULL };
	struct arango		*a;
	struct err_msg		 m;

	if (given != NULL)
		o = *given;
	if (o.endpoints == NULL)
		o.endpoints = list;
	o.name = "fake";
	CU_ASSERT_EQUAL_FATAL(arango_new(fake_loop, &o, &a, &m), 0);
	return a;
}

struct one {
	void	(*fn)(void *);
	void	*arg;
	int	 done;
};

static void
run_one(void *arg)
{
	struct one	*o = arg;

	o->fn(o->arg);
	o->done = 1;
}

void
fake_run(void (*fn)(void *), void *arg)
{
	struct one	 o = { fn, arg, 0 };

	fiber_spawn(fake_loop, run_one, &o);
	while (!o.done)
		loop_run_once(fake_loop, 1);
}

void
fake_turn(unsigned ms)
{
	uint64_t	 until = loop_now_ms(fake_loop) + ms;
	struct loop_timer *t;

	/* keeps the loop from sleeping longer than that */
	t = loop_timer_new(fake_loop, (void (*)(void *))loop_stop, fake_loop);
	loop_timer_start_periodic(t, 5);
	while (loop_now_ms(fake_loop) < until)
		loop_run_once(fake_loop, 1);
	loop_timer_free(&t);
}
