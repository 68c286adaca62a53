/*
 * remote.h - commands that talk to masters: flags, credentials, requests.
 *
 * remote_run() runs the body of a command in a fiber: it reads from top to
 * bottom, and whatever it waits for can be ended with ^C (ERR_CANCELLED).
 *
 * Which endpoint is asked: they are tried in random order, the one that
 * answered last first.  A status of 408 or 5xx, and no answer, mean the next
 * endpoint; every other status is the answer.  Redirects are followed.
 */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json_object.h>

#include "base/err.h"
#include "cli/cli.h"

struct remote;

/* --master.endpoint, --master.cacert, --auth.*; end of a table included. */
extern const struct conf_option	remote_options[];
/* -v, --verbose */
extern const struct conf_option	remote_verbose_options[];
/* The same flag, of commands that have no detail: each request is told. */
extern const struct conf_option	remote_trace_options[];
/* --json */
extern const struct conf_option	remote_json_options[];

/*
 * Run fn in a fiber, with a connection as the flags say.  Its exit code, or 1
 * or 2 after a sentence about flags and files.
 */
int	remote_run(const struct conf *c,
	    int (*fn)(struct remote *r, const struct conf *c));

#define REMOTE_TIMEOUT_MS	(2 * 60 * 1000)

struct remote_req {
	const char	*method;	/* NULL: GET */
	const char	*path;		/* with query */
	const char	*body;		/* JSON, or NULL */
	const char	*endpoint;	/* ask this one only; NULL: any */
	uint32_t	 timeout_ms;	/* shared by the endpoints; 0: the
					 * original's two minutes; never
					 * beyond remote_set_deadline() */
	int		 status;	/* out: of the answer; 0: none */
};

/*
 * Ask.  Waits.  *out (may be NULL: not of interest) is the JSON of the answer,
 * json_object_put() it.  Returns 0 when the status was 200, else with a
 * sentence:
 *	ERR_HTTP	an answer that will not change (4xx and the like)
 *	ERR_CLOSED	no answer, or only such as mean "later" (408, 5xx)
 *	ERR_FORMAT	200, and not JSON
 *	ERR_CANCELLED	^C
 */
int	remote_call(struct remote *r, struct remote_req *q,
	    struct json_object **out, struct err_msg *m);
/* The same for a plain GET. */
int	remote_get(struct remote *r, const char *path,
	    struct json_object **out, struct err_msg *m);
/* May it be tried again?  For ERR_CLOSED. */
bool	remote_is_temporary(int err);

/*
 * Nothing below waits longer than this, counted from now; 0: no end.  Requests
 * under way then fail like those without an answer.
 */
void	remote_set_deadline(struct remote *r, uint64_t ms);
/* Until then; 0 when it is over.  UINT64_MAX: there is none. */
uint64_t remote_time_left(const struct remote *r);

/* Milliseconds, less at the end of the time; 0 or ERR_CANCELLED.  Waits. */
int	remote_sleep(struct remote *r, uint32_t ms);
/* After ^C: wait again, to clean up.  A second ^C ends the process. */
void	remote_uncancel(struct remote *r);
struct loop *remote_loop(const struct remote *r);

/* Exit code 1 after "what: reason"; ^C says so. */
int	remote_fail(const char *what, int err, const struct err_msg *m);
/* --json: print as it came, on one line. */
void	remote_print_json(struct json_object *o);
/* "/_api/sync/database/D/collection/C/shard/N" and tail; free() it. */
char	*remote_shard_path(const char *database, const char *collection,
	    int64_t shard, const char *tail);

#endif
