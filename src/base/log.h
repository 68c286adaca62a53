/*
 * log.h - one line per event: time, level, process title, sentence.
 *
 * Sentences are lower case, object first: "shard 7/products: cannot resume,
 * ...".  error = an operator must act; warning = we handle it; notice = a
 * state changed; info = normal life; debug = per object; trace = per frame.
 * Low layers return errors, they do not log; the layer that owns the operation
 * logs once.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_TRACE,
	LOG_LEVEL_COUNT
};

const char *log_level_name(enum log_level level);
/* 0 and *level, or ERR_RANGE for a name that is none. */
int	log_level_parse(const char *name, enum log_level *level);

/*
 * Where lines go.  path NULL: standard error.  The file is opened for append,
 * mode 0600; log_reopen() opens the same path again (after logrotate).  Both
 * return 0 or -errno and keep the old file when they fail.
 */
int	log_open(const char *path);
int	log_reopen(void);
void	log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Name in every line of this process, such as "dbserver1"; copied. */
void	log_set_name(const char *name);
/* Descriptor in use, so that a child can keep it over close_range(). */
int	log_fd(void);
/*
 * With a log file: lines go to standard error, too.  Without one: no effect.
 */
void	log_set_stderr(bool also);
/*
 * Use this descriptor, which somebody opened for us, in the place of that of
 * the log file; it is taken over, and closed when we log to standard error.
 */
void	log_take_fd(int new_fd);

void	log_va(enum log_level level, const char *fmt, va_list ap)
	    __attribute__((format(printf, 2, 0)));
void	log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void	log_trace(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
