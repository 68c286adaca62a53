/* set.c - group commit of many queues */
#include <sys/stat.h>
#include <sys/utsname.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/queue_priv.h"

/* With more dirty files one syncfs is cheaper than their fsyncs (R26). */
#define SYNCFS_MIN_QUEUES	17

struct queue_set {
	struct queue	**dirty;
	size_t		  n, cap;
	int		  fd;		/* for syncfs; -1: do not use it */
};

/*
 * A file system of its own: otherwise syncfs would wait for what others
 * write.  Before Linux 5.8 syncfs does not tell of writes that failed.
 */
static bool
syncfs_fits(const char *dir)
{
	struct utsname	 u;
	struct stat	 self, above;
	unsigned int	 major, minor;
	char		*up = xasprintf("%s/..", dir);
	bool		 own;

	own = stat(dir, &self) == 0 && stat(up, &above) == 0 &&
	    self.st_dev != above.st_dev;
	free(up);
	return own && uname(&u) == 0 &&
	    sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	    (major > 5 || (major == 5 && minor >= 8));
}

struct queue_set *
queue_set_new(const char *dir)
{
	struct queue_set	*set = xcalloc(1, sizeof(*set));

	set->fd = -1;
	if (syncfs_fits(dir))
		set->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return set;
}

void
queue_set_free(struct queue_set **set)
{
	if (*set == NULL)
		return;
	if ((*set)->fd != -1)
		close((*set)->fd);
	free((*set)->dirty);
	free(*set);
	*set = NULL;
}

void
queue_set_add(struct queue_set *set, struct queue *q)
{
	q->set = set;
	if (q->dirty)
		queue_set_note_dirty(q);
}

size_t
queue_set_dirty(const struct queue_set *set)
{
	return set->n;
}

void
queue_set_note_dirty(struct queue *q)
{
	struct queue_set	*s = q->set;

	if (s == NULL)
		return;
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		s->dirty = xrealloc(s->dirty, s->cap * sizeof(*s->dirty));
	}
	q->set_at = s->n;
	s->dirty[s->n++] = q;
}

void
queue_set_note_clean(struct queue *q)
{
	struct queue_set	*s = q->set;

	if (s == NULL || q->set_at >= s->n || s->dirty[q->set_at] != q)
		return;
	s->dirty[q->set_at] = s->dirty[--s->n];
	s->dirty[q->set_at]->set_at = q->set_at;
}

size_t
queue_set_sync(struct queue_set *set,
    void (*done)(struct queue *, int, void *), void *arg)
{
	struct queue	*q;
	size_t		 failed = 0;
	bool		 all = false;
	int		 r, err = 0;

	if (set->fd != -1 && set->n >= SYNCFS_MIN_QUEUES) {
		all = true;
		if (syncfs(set->fd) == -1)
			err = -errno;
	}
	/* A queue that is done leaves the list, whatever came of it. */
	while (set->n > 0) {
		q = set->dirty[set->n - 1];
		if (!all)
			r = queue_sync(q, NULL);
		else if (err != 0)
			r = queue_fail(q, NULL, "syncfs", err);
		else {
			queue_note_durable(q);
			r = 0;
		}
		failed += r != 0;
		if (done != NULL)
			done(q, r, arg);
	}
	return failed;
}
