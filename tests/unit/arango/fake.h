/*
 * fake.h - an in-process HTTP server that answers as a test says, and fibers
 * that are run to their end.
 */
#ifndef TESTS_ARANGO_FAKE_H
#define TESTS_ARANGO_FAKE_H

#include <stddef.h>
#include <stdint.h>

#include "arango/conn.h"
#include "ev/loop.h"
#include "http/server.h"

struct fake {
	struct http_server	*srv;
	char			 url[64];
	unsigned		 requests;
	char			 log[16384];	/* "GET /path?query\n" ... */
	char			 body[4096];	/* of the last request */
	char			 authorization[2048];
	char			 type[128], accept[128];
};

extern struct loop	*fake_loop;

/* Handlers run for each request; they must answer it. */
void	fake_start(struct fake *f, http_handler *handler, void *arg);
void	fake_stop(struct fake *f);
/* To be called first in a handler. */
void	fake_note(struct fake *f, struct http_req *req);
/* How often is this in the log? */
unsigned fake_count(const struct fake *f, const char *what);

void	fake_json(struct http_req *req, int status, const char *text);
/* The headers of a tail response; f NULL: true. */
void	fake_tail(struct http_req *req, const char *lines, uint64_t included,
	    uint64_t scanned, uint64_t last, const char *more,
	    const char *from_present);

/* A loop; a cluster whose coordinator is the fake; a fiber to its end. */
void	fake_begin(void);
void	fake_end(void);
struct arango *fake_cluster(const char *url, const struct arango_opts *o);
void	fake_run(void (*fn)(void *), void *arg);
/* Iterations of the loop for about ms. */
void	fake_turn(unsigned ms);

#endif
