/* raw_client.h - a server of http/server with some paths, and a client that
 * speaks to it over raw sockets */
#ifndef TESTS_RAW_CLIENT_H
#define TESTS_RAW_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ev/loop.h"
#include "http/server.h"

#define PATIENCE_MS	10000

extern struct loop	*loop;
extern struct http_server *srv;
extern struct http_req	*kept;		/* of /keep */
extern int		 closes, rooms;
extern uint64_t		 stream_left, stream_peak;
extern struct http_server_opts *opt;

void	start(const struct http_server_opts *opts);
void	stop(void);
int	dial(void);
uint64_t now_ms(void);
/* Run the server for a while. */
void	turn(int n);
void	say(int fd, const void *p, size_t n);
void	say_text(int fd, const char *s);
/*
 * What the server sends, until it holds `until` (a text), has `bytes` bytes, or
 * the connection ends.  True when it ended.
 */
bool	hear(int fd, struct buf *b, const char *until, size_t bytes);
/* An answer with a body of n bytes. */
void	hear_body(int fd, struct buf *b, size_t n);
/* One request, one answer: as a new string. */
char	*ask(const char *request, const char *until);
void	expect(const char *request, const char *until, const char *begin);
struct http_server_opts *new_opts(void);

/* Options of a server; OPTS(opt->a = 1, opt->b = 2) */
#define OPTS(...)	(opt = new_opts(), ##__VA_ARGS__, opt)

#endif
