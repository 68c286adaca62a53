/* dump.c - the records of a channel as text or JSON lines */
#include <sys/stat.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "json/text.h"
#include "queue/check.h"
#include "queue/segment.h"

struct dumper {
	const struct queue_dump_opts	*o;
	FILE				*out;
	uint64_t			 left;	/* records to print */
	struct buf			 stored, raw, text;
	int				 damaged;
	bool				 in_line; /* the last line goes on */
};

static void
print_json_string(struct buf *b, const uint8_t *p, size_t n)
{
	const char	*s = (const char *)p;
	size_t		 i, k;

	buf_append_u8(b, '"');
	for (i = 0; i < n; i += k) {
		k = 1;
		if (s[i] == '"' || s[i] == '\\')
			buf_printf(b, "\\%c", s[i]);
		else if (s[i] == '\n')
			buf_append_str(b, "\\n");
		else if ((unsigned char)s[i] < 0x20)
			buf_printf(b, "\\u%04x", (unsigned int)s[i]);
		else if ((unsigned char)s[i] < 0x80)
			buf_append_u8(b, p[i]);
		else {
			for (k = 2; k <= 4 && i + k <= n &&
			    !text_is_utf8(s + i, k); k++)
				continue;
			if (k <= 4 && i + k <= n)
				buf_append(b, p + i, k);
			else {
				buf_append_str(b, "\xef\xbf\xbd");
				k = 1;
			}
		}
	}
	buf_append_u8(b, '"');
}

static void
print_problem(struct dumper *d, const struct err_msg *em)
{
	d->damaged = 1;
	buf_reset(&d->text);
	if (d->o->format == QUEUE_DUMP_JSON) {
		buf_append_str(&d->text, "{\"problem\":");
		print_json_string(&d->text, (const uint8_t *)em->text,
		    strlen(em->text));
		buf_append_str(&d->text, "}\n");
	} else
		buf_printf(&d->text, "%s%s\n", d->in_line ? "\n" : "",
		    em->text);
	d->in_line = false;
	fwrite(d->text.data, 1, d->text.len, d->out);
}

/* The lines of a record. */
struct dump_lines {
	const uint8_t	*p;
	size_t		 len;
};

static void
print_json(struct dumper *d, const struct seg_cursor *c,
    const struct fmt_record *h, const struct dump_lines *payload)
{
	char		 when[CLOCK_TEXT_SIZE];
	struct buf	*b = &d->text;

	clock_format_us(h->time_us, when);
	buf_printf(b, "{\"epoch\":%" PRIu64 ",\"segment\":%" PRIu64
	    ",\"offset\":%" PRIu64 ",\"end\":%" PRIu64 ",\"tickFrom\":\"%"
	    PRIu64 "\",\"tickTo\":\"%" PRIu64 "\",\"rebootId\":%" PRIu64
	    ",\"operations\":%" PRIu32 ",\"boundary\":%s,\"continued\":%s,"
	    "\"time\":\"%s\",\"codec\":\"%s\",\"bytes\":%" PRIu32
	    ",\"storedBytes\":%" PRIu32, c->epoch, c->number, h->offset,
	    fmt_record_end(h), h->tick_from, h->tick_to, h->reboot_id, h->ops,
	    h->flags & QUEUE_BOUNDARY ? "true" : "false",
	    h->flags & QUEUE_CONTINUED ? "true" : "false", when,
	    queue_codec_name(h->codec), h->raw_len, h->stored_len);
	if (payload != NULL) {
		buf_append_str(b, ",\"payload\":");
		print_json_string(b, payload->p, payload->len);
	}
	buf_append_str(b, "}\n");
}

static void
print_text(struct dumper *d, const struct seg_cursor *c,
    const struct fmt_record *h, const struct dump_lines *payload)
{
	char		 when[CLOCK_TEXT_SIZE];
	struct buf	*b = &d->text;

	clock_format_us(h->time_us, when);
	/* Between the pieces of one line stands nothing. */
	if (!d->in_line || payload == NULL)
		buf_printf(b, "# %" PRIu64 ":%" PRIu64 " segment %" PRIu64
		    " ticks (%" PRIu64 ", %" PRIu64 "] operations %" PRIu32
		    " bytes %" PRIu32 "%s %s%s\n", c->epoch, h->offset,
		    c->number, h->tick_from, h->tick_to, h->ops, h->raw_len,
		    h->codec == QUEUE_CODEC_ZSTD ? " zstd" : "", when,
		    h->flags & QUEUE_BOUNDARY ? " boundary" : "");
	if (payload == NULL)
		return;
	buf_append(b, payload->p, payload->len);
	d->in_line = h->flags & QUEUE_CONTINUED;
	if (!d->in_line && payload->len > 0 &&
	    payload->p[payload->len - 1] != '\n')
		buf_append_u8(b, '\n');
}

static int
print_record(struct dumper *d, struct seg_cursor *c,
    const struct fmt_record *h)
{
	const struct buf	*whole = &d->stored;
	struct dump_lines		 lines = { NULL, 0 };
	size_t			 head = 0;
	int			 r;

	buf_reset(&d->stored);
	buf_reset(&d->raw);
	buf_reset(&d->text);
	if ((r = seg_cursor_payload(c, h, &d->stored)) != 0)
		return r;
	if (h->offset < d->o->from_offset || (d->o->tick_after != 0 &&
	    h->tick_to <= d->o->tick_after))
		return 0;
	if (d->o->with_payload) {
		if (h->codec != QUEUE_CODEC_NONE) {
			if ((r = queue_decode(h->codec, d->stored.data,
			    d->stored.len, h->raw_len, &d->raw)) != 0)
				return r;
			whole = &d->raw;
		}
		if (d->o->head != NULL)
			head = d->o->head(whole->data, whole->len);
		lines.p = whole->data + MIN(head, whole->len);
		lines.len = whole->len - MIN(head, whole->len);
	}
	if (d->o->format == QUEUE_DUMP_JSON)
		print_json(d, c, h, d->o->with_payload ? &lines : NULL);
	else
		print_text(d, c, h, d->o->with_payload ? &lines : NULL);
	fwrite(d->text.data, 1, d->text.len, d->out);
	d->left--;
	return 0;
}

static void
dump_segment(struct dumper *d, const char *dir, struct seg_file *f,
    const struct seg_file *next)
{
	struct seg_cursor	 c = { .fd = -1 };
	struct fmt_record	 h;
	struct err_msg		 em;
	int			 fd, r;

	if ((r = seg_open(dir, f, &fd, &em)) != 0) {
		if (r != -ENOENT)
			print_problem(d, &em);
		return;
	}
	seg_cursor_init(&c, fd, &f->h);
	if (next != NULL)
		seg_cursor_seal(&c, next->h.base);
	else
		seg_cursor_set_size(&c, f->size);
	while (d->left > 0 && (r = seg_cursor_header(&c, &h)) == 1) {
		if (h.type == FMT_CLOSE) {
			r = 0;
			break;
		}
		if (h.type == FMT_BATCH && (r = print_record(d, &c, &h)) != 0)
			break;
		seg_cursor_skip(&c, &h);
	}
	if (r < 0 && r > -10000) {
		err_set(&em, r, "%s: %s", dir, err_text(r));
		print_problem(d, &em);
	} else if (r < 0 && (next != NULL || seg_cursor_judge(&c) != 0)) {
		seg_damage(&em, dir, c.epoch, c.number,
		    seg_cursor_file_at(&c, c.pos), r);
		print_problem(d, &em);
	}
	seg_cursor_free(&c);
	close(fd);
}

int
queue_dump(const char *dir, const char *channel,
    const struct queue_dump_opts *opts, FILE *out, struct err_msg *em)
{
	struct dumper	 d = { .o = opts, .out = out };
	struct seg_list	 l = SEG_LIST_INIT;
	struct err_msg	 text;
	struct stat	 st;
	char		*path;
	size_t		 first = 0, i;
	int		 r;

	path = channel == NULL ? xstrdup(dir) :
	    xasprintf("%s/%s", dir, channel);
	d.left = opts->limit == 0 ? UINT64_MAX : opts->limit;
	if (stat(path, &st) == -1) {
		r = err_set(em, errno == ENOENT ? ERR_NOT_FOUND : -errno,
		    "%s: %s", path, strerror(errno));
		free(path);
		return r;
	}
	if (seg_list_load(path, &l, &first, &text) != 0) {
		/* As much as can be had. */
		print_problem(&d, &text);
		first = 0;
		if ((r = seg_list_names(path, &l)) != 0)
			l.n = 0;
		for (i = 0; i < l.n; i++)
			dump_segment(&d, path, &l.v[i], NULL);
	} else
		for (i = first; i < l.n; i++)
			dump_segment(&d, path, &l.v[i],
			    i + 1 < l.n ? &l.v[i + 1] : NULL);
	r = d.damaged ? err_set(em, ERR_CORRUPT, "%s: damaged", path) : 0;
	if (fflush(out) == EOF || ferror(out))
		r = err_set(em, errno != 0 ? -errno : -EIO,
		    "writing the dump failed");
	seg_list_free(&l);
	buf_free(&d.stored);
	buf_free(&d.raw);
	buf_free(&d.text);
	free(path);
	return r;
}
