/*
 * err.h - how functions of this project fail.
 *
 * A function that can fail returns 0 or a negative number: -errno when a
 * system call failed, one of ERR_* otherwise.  err_text() knows both.  A
 * function that can say more than the number takes a struct err_msg, which it
 * fills with one sentence for an operator: what, where, and what to do.
 *
 * Memory for the bookkeeping of the program is never refused: xmalloc() and
 * friends end the process (its supervisor starts it again) because no caller
 * could do better.  Memory whose size a peer decides is asked for with
 * functions that return -ENOMEM or ERR_TOO_BIG.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum {
	ERR_FORMAT	= -10001,	/* bytes are not what they claim to be */
	ERR_TRUNCATED	= -10002,	/* bytes end too early */
	ERR_TOO_BIG	= -10003,	/* larger than the limit that applies */
	ERR_RANGE	= -10004,	/* a number outside its range */
	ERR_CORRUPT	= -10005,	/* a checksum does not match */
	ERR_VERSION	= -10006,	/* a newer or older format */
	ERR_CLOSED	= -10007,	/* the peer closed the connection */
	ERR_TIMEOUT	= -10008,	/* a deadline passed */
	ERR_NOT_FOUND	= -10009,
	ERR_EXISTS	= -10010,
	ERR_DENIED	= -10011,	/* credentials or rights are missing */
	ERR_BAD_STATE	= -10012,	/* not in this state or phase */
	ERR_PROTOCOL	= -10013,	/* the peer broke the protocol */
	ERR_CANCELLED	= -10014,
	ERR_TLS		= -10015,
	ERR_HTTP	= -10016,
	ERR_STORAGE	= -10017,	/* the storage engine failed */
	ERR_USAGE	= -10018	/* wrong arguments */
};

struct err_msg {
	char	text[512];
};

/* A short text for 0, -errno or ERR_*; static storage. */
const char *err_text(int err);
/* No space: of the disk, or of somebody's quota of it. */
bool	err_is_full(int err);

/*
 * Write a sentence into m (may be NULL) and return err, so that
 * `return err_set(m, ERR_FORMAT, "...")` is one line.  Too long: cut.
 */
int	err_set(struct err_msg *m, int err, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));

/* End the process with a logged sentence.  For start-up and memory only. */
void	fatal(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2), noreturn));

void	*xmalloc(size_t size);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *p, size_t size);
char	*xstrdup(const char *s);
char	*xstrndup(const char *s, size_t n);
char	*xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * An invariant of our own; stays in release builds.  Failing it ends the
 * process with the place, because going on would act on data that is known to
 * be wrong.
 */
#define bug_unless(cond)						\
	((cond) ? (void)0 : fatal("bug: %s:%d: %s", __FILE__, __LINE__, #cond))

#ifndef MIN
#define MIN(a, b)	((a) < (b) ? (a) : (b))
#define MAX(a, b)	((a) > (b) ? (a) : (b))
#endif
#define NITEMS(a)	(sizeof(a) / sizeof((a)[0]))

#endif
