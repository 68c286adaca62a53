/* check.c - what a queue holds, seen from outside */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/check.h"
#include "queue/segment.h"

#define DEPTH_MAX	4

struct checker {
	int		(*fn)(const struct queue_info *, void *);
	void		(*on_problem)(const char *, void *);
	void		*arg;
	bool		 full;
	const char	*only;		/* this channel; NULL: all */
	size_t		 found;
	struct buf	 payload, raw;	/* for compressed records */
};

const char *
queue_condition_name(enum queue_condition c)
{
	static const char *const	names[] = {
		"clean", "open", "torn", "damaged"
	};

	return (unsigned int)c < QUEUE_COND_COUNT ? names[c] : "?";
}

/* --- one channel --------------------------------------------------------- */

static void
note_problem(struct checker *k, struct queue_info *info,
    const struct err_msg *em)
{
	if (info->problems++ == 0)
		info->problem = *em;
	info->condition = QUEUE_COND_DAMAGED;
	if (k->on_problem != NULL)
		k->on_problem(em->text, k->arg);
}

static void
note_damage(struct checker *k, struct queue_info *info, const char *dir,
    const struct seg_cursor *c, int err)
{
	struct err_msg	 em;

	if (err > -10000)
		err_set(&em, err, "%s: %s", dir, err_text(err));
	else
		seg_damage(&em, dir, c->epoch, c->number,
		    seg_cursor_file_at(c, c->pos), err);
	note_problem(k, info, &em);
}

/*
 * Does a writer hold the lock?  Trying it would, for an instant, keep a writer
 * out that opens now; the kernel's list tells without touching it.  (Where it
 * names the device otherwise, as btrfs does, or hides it, in containers, the
 * answer is no.)
 */
static bool
is_locked(const char *dir)
{
	char			*path = xasprintf("%s/%s", dir, SEG_LOCK_NAME);
	char			 line[256];
	struct stat		 st;
	unsigned int		 major, minor;
	unsigned long long	 inode;
	bool			 held = false;
	FILE			*f;
	int			 r = stat(path, &st);

	free(path);
	if (r == -1 || (f = fopen("/proc/locks", "re")) == NULL)
		return false;
	while (!held && fgets(line, sizeof(line), f) != NULL)
		held = sscanf(line, "%*d: FLOCK %*s WRITE %*d %x:%x:%llu",
		    &major, &minor, &inode) == 3 &&
		    makedev(major, minor) == st.st_dev && inode == st.st_ino;
	fclose(f);
	return held;
}

/* Payload of a record, when a full check is wanted. */
static int
check_payload(struct checker *k, struct seg_cursor *c,
    const struct fmt_record *h)
{
	int	 r;

	if (h->codec == QUEUE_CODEC_NONE)
		return seg_cursor_payload(c, h, NULL);
	buf_reset(&k->payload);
	buf_reset(&k->raw);
	if ((r = seg_cursor_payload(c, h, &k->payload)) != 0)
		return r;
	r = queue_decode(h->codec, k->payload.data, k->payload.len,
	    h->raw_len, &k->raw);
	/* Its checksum is right; that is all that can be said. */
	return r == ERR_VERSION ? 0 : r;
}

/* Ticks of a record behind the last boundary. */
static bool
ticks_follow(const struct queue_info *info, const struct fmt_record *h)
{
	return h->tick_from >= info->mark_last.tick;
}

static void
note_record(struct queue_info *info, const struct fmt_record *h)
{
	info->records++;
	info->ops += h->ops;
	info->raw_bytes += h->raw_len;
	info->stored_bytes += h->stored_len;
	info->offset_end = fmt_record_end(h);
	if (h->flags & QUEUE_BOUNDARY) {
		info->mark_last.tick = h->tick_to;
		info->mark_last.reboot_id = h->reboot_id;
		info->mark_last.line_crc = h->line_crc;
		info->mark_offset = info->offset_end;
	}
}

/* Records of one segment, of the last one to where it is whole. */
static void
walk_segment(struct checker *k, struct queue_info *info, const char *dir,
    struct seg_file *f, const struct seg_file *next)
{
	struct seg_cursor	 c = { .fd = -1 };
	struct fmt_record	 h;
	struct err_msg		 em;
	bool			 closed = false;
	int			 fd, r;

	if ((r = seg_open(dir, f, &fd, &em)) != 0) {
		if (r != -ENOENT)	/* consumed meanwhile */
			note_problem(k, info, &em);
		return;
	}
	h.type = 0;
	seg_cursor_init(&c, fd, &f->h);
	if (next != NULL)
		seg_cursor_seal(&c, next->h.base);
	else
		seg_cursor_set_size(&c, f->size);
	while ((r = seg_cursor_header(&c, &h)) == 1) {
		if (h.type == FMT_CLOSE) {
			closed = fmt_record_end(&h) == c.end && !c.sealed;
			r = closed ? 0 : ERR_RANGE;
			break;
		}
		if ((r = check_payload(k, &c, &h)) != 0)
			break;
		if (!ticks_follow(info, &h)) {
			r = ERR_RANGE;
			break;
		}
		note_record(info, &h);
		seg_cursor_skip(&c, &h);
	}
	if (next == NULL && info->condition != QUEUE_COND_DAMAGED)
		info->condition = closed ? QUEUE_COND_CLEAN : QUEUE_COND_OPEN;
	if (r != 0 && next == NULL && r < -10000 && r != ERR_VERSION &&
	    h.type != FMT_CLOSE && seg_cursor_judge(&c) == 0) {
		info->torn_bytes = c.end - c.pos;
		if (info->condition != QUEUE_COND_DAMAGED)
			info->condition = QUEUE_COND_TORN;
	} else if (r != 0)
		note_damage(k, info, dir, &c, r);
	seg_cursor_free(&c);
	close(fd);
}

static void
describe(struct queue_info *info, const struct seg_list *l, size_t first)
{
	const struct fmt_segment	*a = &l->v[first].h;
	const struct fmt_segment	*z = &l->v[l->n - 1].h;
	size_t				 i;

	for (i = 0; i < l->n; i++)
		info->bytes += l->v[i].size;
	info->segments = l->n;
	info->channel = z->channel;
	info->epoch = z->epoch;
	info->created_us = z->created_us;
	info->offset_first = a->base;
	info->mark_first = a->mark;
}

/* Headers that cannot be read: each on its own, to name them all. */
static void
check_headers(struct checker *k, struct queue_info *info, const char *dir)
{
	struct seg_list	 l = SEG_LIST_INIT;
	struct err_msg	 em;
	size_t		 i;
	int		 fd, r;

	if (seg_list_names(dir, &l) == 0)
		for (i = 0; i < l.n; i++) {
			r = seg_open(dir, &l.v[i], &fd, &em);
			if (r == 0) {
				close(fd);
				info->channel = l.v[i].h.channel;
				info->epoch = l.v[i].epoch;
				info->bytes += l.v[i].size;
			} else if (r != -ENOENT)
				note_problem(k, info, &em);
			info->segments++;
		}
	seg_list_free(&l);
}

static int
check_channel(struct checker *k, const char *dir, const char *name)
{
	struct queue_info	 info;
	struct seg_list		 l = SEG_LIST_INIT;
	struct err_msg		 em;
	size_t			 first, i;

	k->found++;
	memset(&info, 0, sizeof(info));
	info.name = name;
	info.path = dir;
	info.locked = is_locked(dir);
	if (seg_list_load(dir, &l, &first, &em) != 0) {
		check_headers(k, &info, dir);
		/* All headers are good: it is the chain. */
		if (info.problems == 0)
			note_problem(k, &info, &em);
	} else if (l.n > 0) {
		describe(&info, &l, first);
		i = k->full ? first : l.n - 1;
		info.mark_last = l.v[i].h.mark;
		info.mark_offset = l.v[i].h.mark_offset;
		info.offset_end = l.v[i].h.base;
		for (; i < l.n; i++)
			walk_segment(k, &info, dir, &l.v[i],
			    i + 1 < l.n ? &l.v[i + 1] : NULL);
		if (!k->full)
			info.records = info.ops = info.raw_bytes =
			    info.stored_bytes = 0;
	}
	seg_list_free(&l);
	return k->fn == NULL ? 0 : k->fn(&info, k->arg);
}

/* --- all of a directory -------------------------------------------------- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Is there a segment in it? *subs: its directories, sorted; free them. */
static int
look_into(const char *dir, bool *is_channel, char ***subs, size_t *n)
{
	struct dirent	*e;
	struct stat	 st;
	DIR		*d;
	uint64_t	 a, b;
	size_t		 cap = 0;

	*subs = NULL;
	*n = 0;
	*is_channel = false;
	if ((d = opendir(dir)) == NULL)
		return -errno;
	while ((e = readdir(d)) != NULL) {
		if (seg_parse_name(e->d_name, &a, &b))
			*is_channel = true;
		if (e->d_name[0] == '.' || fstatat(dirfd(d), e->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == -1 || !S_ISDIR(st.st_mode))
			continue;
		if (*n == cap) {
			cap = cap == 0 ? 16 : cap * 2;
			*subs = xrealloc(*subs, cap * sizeof(**subs));
		}
		(*subs)[(*n)++] = xstrdup(e->d_name);
	}
	closedir(d);
	if (*n > 1)
		qsort(*subs, *n, sizeof(**subs), compare_names);
	return 0;
}

static int
walk_tree(struct checker *k, const char *dir, const char *name, int depth)
{
	char	**subs, *sub, *sub_name;
	bool	 is_channel;
	size_t	 n, i;
	int	 r;

	r = look_into(dir, &is_channel, &subs, &n);
	/* Below the top, what cannot be read is not ours. */
	if (r != 0)
		return depth == 0 ? r : 0;
	if (is_channel && (k->only == NULL || strcmp(k->only, name) == 0))
		r = check_channel(k, dir, name);
	for (i = 0; i < n; i++) {
		if (r == 0 && depth < DEPTH_MAX) {
			sub = xasprintf("%s/%s", dir, subs[i]);
			sub_name = strcmp(name, ".") == 0 ?
			    xstrdup(subs[i]) :
			    xasprintf("%s/%s", name, subs[i]);
			r = walk_tree(k, sub, sub_name, depth + 1);
			free(sub);
			free(sub_name);
		}
		free(subs[i]);
	}
	free(subs);
	return r;
}

static int
run(struct checker *k, const char *dir, const char *channel,
    struct err_msg *em)
{
	struct stat	 st;
	int		 r;

	k->only = channel;
	if (stat(dir, &st) == -1)
		return err_set(em, errno == ENOENT ? ERR_NOT_FOUND : -errno,
		    "%s: %s", dir, strerror(errno));
	r = walk_tree(k, dir, ".", 0);
	buf_free(&k->payload);
	buf_free(&k->raw);
	if (r < 0)
		return err_set(em, r, "%s: %s", dir, err_text(r));
	if (r == 0 && channel != NULL && k->found == 0)
		return err_set(em, ERR_NOT_FOUND, "%s: there is no channel %s",
		    dir, channel);
	return r;
}

int
queue_list(const char *dir, const char *channel,
    int (*fn)(const struct queue_info *, void *), void *arg,
    struct err_msg *em)
{
	struct checker	 k = { .fn = fn, .arg = arg };

	return run(&k, dir, channel, em);
}

int
queue_check(const char *dir, const char *channel,
    int (*fn)(const struct queue_info *, void *),
    void (*on_problem)(const char *, void *), void *arg, struct err_msg *em)
{
	struct checker	 k = { .fn = fn, .on_problem = on_problem, .arg = arg,
			    .full = true };

	return run(&k, dir, channel, em);
}
