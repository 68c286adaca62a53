/*
 * fake_servers.c - servers that do nothing, for tests of the supervisor and
 * the command line of the sandbox without a cluster behind them.
 *
 * Each serves 200 to everything.  Files in the server's directory make it
 * misbehave: fail-start (ends before READY), hang-start (never READY),
 * ignore-stop (does not end when asked to).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "ev/loop.h"
#include "http/server.h"
#include "sandbox/child.h"

struct fake {
	struct sb_child		*c;
	struct http_server	*http;
	enum sb_fault_kind	 fault;
	bool			 deaf;
};

static bool
has(struct sb_child *c, const char *name)
{
	char		*path = xasprintf("%s/%s", c->dir, name);
	struct stat	 st;
	bool		 yes = stat(path, &st) == 0;

	free(path);
	return yes;
}

static void
on_request(struct http_req *req, void *arg)
{
	struct fake	*f = arg;
	char		 text[256];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"first\":%s,"
	    "\"password\":\"%s\",\"fault\":%d}", f->c->name,
	    f->c->first_start ? "true" : "false", f->c->root_password,
	    (int)f->fault);
	http_reply_bytes(req, 200, "application/json", text, strlen(text));
}

static int
on_fault(void *arg, const struct sb_fault *fault)
{
	struct fake	*f = arg;

	f->fault = fault->kind;
	return 0;
}

static int
on_prune(void *arg, struct sb_prune_result *out, struct err_msg *msg)
{
	out->removed = 3;
	out->kept = 2;
	return 0;
}

static void
on_quit(void *arg, enum sb_quit why)
{
	struct fake	*f = arg;

	if (!f->deaf)
		loop_stop(f->c->loop);
}

static int
fake_main(struct sb_child *c)
{
	struct http_server_opts	 o = HTTP_SERVER_OPTS_INIT;
	struct fake		 f = { c, NULL, SB_FAULT_NONE, false };
	struct err_msg		 m;

	if (has(c, "fail-start"))
		return sb_child_fail(c, PROC_EXIT_STORAGE,
		    "its store does not like the moon");
	f.deaf = has(c, "ignore-stop");
	if (listen(c->listen_fd, 16) == -1)
		return sb_child_fail(c, PROC_EXIT_PORT, "listen: %s",
		    err_text(-errno));
	o.fd = c->listen_fd;
	o.handler = on_request;
	o.arg = &f;
	if (http_server_new(c->loop, &o, &f.http, &m) != 0)
		return sb_child_fail(c, PROC_EXIT_START, "%s", m.text);
	sb_child_on_fault(c, on_fault, &f);
	if (c->kind == SB_KIND_DBSERVER)
		sb_child_on_prune(c, on_prune, &f);
	sb_child_on_quit(c, on_quit, &f);
	if (!has(c, "hang-start"))
		sb_child_ready(c);
	(void)loop_run(c->loop);
	http_server_free(&f.http);
	return PROC_EXIT_OK;
}

int
agent_main(struct sb_child *c)
{
	return fake_main(c);
}

int
coordinator_main(struct sb_child *c)
{
	return fake_main(c);
}

int
dbserver_main(struct sb_child *c)
{
	return fake_main(c);
}
