/* log.c - lines to a file or standard error, one write(2) each */
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"

#define LOG_LINE_MAX_BYTES	8192
#define LOG_TIME_BYTES		24

static const char *const level_names[LOG_LEVEL_COUNT] = {
	"error", "warning", "notice", "info", "debug", "trace"
};

static enum log_level	 threshold = LOG_LEVEL_INFO;
static int		 fd = STDERR_FILENO;
static char		*file;		/* NULL: standard error */
static bool		 also_stderr;
static char		 who[64];
static unsigned long	 lost;		/* lines, since one was written */
static int		 lost_errno;
static bool		 torn;		/* a part of one is there */

const char *
log_level_name(enum log_level level)
{
	return (unsigned)level < LOG_LEVEL_COUNT ? level_names[level] : "?";
}

int
log_level_parse(const char *name, enum log_level *level)
{
	size_t	 i;

	if (strcmp(name, "warn") == 0)	/* as others spell it */
		name = "warning";
	for (i = 0; i < LOG_LEVEL_COUNT; i++)
		if (strcmp(name, level_names[i]) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	return ERR_RANGE;
}

static int
open_file(const char *path)
{
	int	 new = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC,
		     0600);

	if (new == -1)
		return -errno;
	if (fd != STDERR_FILENO)
		close(fd);
	fd = new;
	return 0;
}

int
log_open(const char *path)
{
	int	 r;

	if (path == NULL)
		return 0;
	if ((r = open_file(path)) != 0)
		return r;
	free(file);
	file = xstrdup(path);
	return 0;
}

int
log_reopen(void)
{
	return file == NULL ? 0 : open_file(file);
}

void
log_set_stderr(bool also)
{
	also_stderr = also;
}

void
log_take_fd(int new_fd)
{
	/* The number stays: children are told it once. */
	if (fd != STDERR_FILENO)
		(void)dup3(new_fd, fd, O_CLOEXEC);
	close(new_fd);
}

void
log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level
log_get_level(void)
{
	return threshold;
}

void
log_set_name(const char *name)
{
	snprintf(who, sizeof(who), "%s", name);
}

int
log_fd(void)
{
	return fd;
}

/*
 * A log that cannot be written must not stop the work: what is lost is counted,
 * and told as soon as it can be.  A full disk may take the begin of a line.
 */
static void
write_line(const char *line, size_t n)
{
	char		 note[256] = "";
	struct iovec	 iov[2];
	ssize_t		 done;

	if (lost != 0)
		snprintf(note, sizeof(note), "%s%.*s warning %s[%d]: %lu "
		    "lines before this one could not be written: %s\n",
		    torn ? "\n" : "", LOG_TIME_BYTES, line,
		    who[0] == '\0' ? "-" : who, (int)getpid(), lost,
		    strerror(lost_errno));
	iov[0].iov_base = note;
	iov[0].iov_len = MIN(strlen(note), sizeof(note) - 1);
	iov[1].iov_base = (void *)(uintptr_t)line;
	iov[1].iov_len = n;
	done = writev(fd, iov, 2);
	if (done == (ssize_t)(iov[0].iov_len + n)) {
		lost = 0;
		torn = false;
		return;
	}
	lost_errno = done == -1 ? errno : ENOSPC;
	lost++;
	torn = torn || done > 0;
}

void
log_va(enum log_level level, const char *fmt, va_list ap)
{
	char		 line[LOG_LINE_MAX_BYTES];
	struct timespec	 now;
	struct tm	 tm;
	size_t		 n;
	int		 r, saved = errno;

	if (level > threshold)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	r = snprintf(line + n, sizeof(line) - n, ".%03ldZ %s %s[%d]: ",
	    now.tv_nsec / 1000000, level_names[level],
	    who[0] == '\0' ? "-" : who, (int)getpid());
	n += (size_t)r;
	r = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	if (r > 0)
		n = MIN(n + (size_t)r, sizeof(line) - 2);
	line[n++] = '\n';
	write_line(line, n);
	if (also_stderr && fd != STDERR_FILENO &&
	    write(STDERR_FILENO, line, n) == -1)
		(void)0;
	errno = saved;
}

#define LOG_FUNCTION(name, level)					\
	void								\
	name(const char *fmt, ...)					\
	{								\
		va_list	 ap;						\
									\
		va_start(ap, fmt);					\
		log_va(level, fmt, ap);					\
		va_end(ap);						\
	}

LOG_FUNCTION(log_error, LOG_LEVEL_ERROR)
LOG_FUNCTION(log_warning, LOG_LEVEL_WARNING)
LOG_FUNCTION(log_notice, LOG_LEVEL_NOTICE)
LOG_FUNCTION(log_info, LOG_LEVEL_INFO)
LOG_FUNCTION(log_debug, LOG_LEVEL_DEBUG)
LOG_FUNCTION(log_trace, LOG_LEVEL_TRACE)
