/* text.c - sentences and tables */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"
#include "json/text.h"

static void
complain_va(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static void
complain_va(const char *fmt, va_list ap)
{
	progress_clear();
	fflush(stdout);
	fputs("arangosync: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void
cli_complain(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain_va(fmt, ap);
	va_end(ap);
}

int
cli_fail(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain_va(fmt, ap);
	va_end(ap);
	return CONF_EXIT_FAILED;
}

int
cli_usage(const struct conf *c, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	complain_va(fmt, ap);
	va_end(ap);
	fprintf(stderr, "Try \"arangosync %s --help\".\n",
	    conf_command(c)->words);
	return CONF_EXIT_USAGE;
}

void
cli_make_safe(char *s)
{
	unsigned char	*p = (unsigned char *)s;
	int		 utf8 = text_is_utf8(s, strlen(s));

	for (; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || (!utf8 && *p >= 0x80))
			*p = '?';
		/* U+0080 to U+009F are control characters as well. */
		if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
			p[0] = p[1] = '?';
	}
}

/* --- tables -------------------------------------------------------------- */

struct cli_table {
	const char *const *heads;
	size_t		  n_cols;
	char		**cells;
	size_t		  n, cap;
};

struct cli_table *
cli_table_new(const char *const *heads)
{
	struct cli_table	*t = xcalloc(1, sizeof(*t));

	t->heads = heads;
	while (heads[t->n_cols] != NULL)
		t->n_cols++;
	return t;
}

void
cli_table_free(struct cli_table **t)
{
	if (*t == NULL)
		return;
	while ((*t)->n > 0)
		free((*t)->cells[--(*t)->n]);
	free((*t)->cells);
	free(*t);
	*t = NULL;
}

void
cli_table_add(struct cli_table *t, const char *text)
{
	if (t->n == t->cap) {
		t->cap = MAX(t->cap * 2, 64);
		t->cells = xrealloc(t->cells, t->cap * sizeof(*t->cells));
	}
	t->cells[t->n] = xstrdup(text == NULL || *text == '\0' ? "-" : text);
	cli_make_safe(t->cells[t->n++]);
}

void
cli_table_addf(struct cli_table *t, const char *fmt, ...)
{
	va_list	 ap;
	char	*s;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) == -1)
		fatal("out of memory");
	va_end(ap);
	cli_table_add(t, s);
	free(s);
}

size_t
cli_table_rows(const struct cli_table *t)
{
	return t->n / t->n_cols;
}

/* Characters, not bytes; wide and combining ones count as one. */
static size_t
width_of(const char *s)
{
	size_t	 n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void
print_row(const struct cli_table *t, const char *const *cells,
    const size_t *widths, size_t indent, FILE *f)
{
	size_t	 i;

	fprintf(f, "%*s", (int)indent, "");
	for (i = 0; i < t->n_cols; i++) {
		fputs(cells[i], f);
		if (i + 1 < t->n_cols)
			fprintf(f, "%*s", (int)(widths[i] -
			    width_of(cells[i]) + 2), "");
	}
	fputc('\n', f);
}

void
cli_table_print(const struct cli_table *t, size_t indent, FILE *f)
{
	size_t	*widths = xcalloc(t->n_cols, sizeof(*widths)), i;

	for (i = 0; i < t->n_cols; i++)
		widths[i] = width_of(t->heads[i]);
	for (i = 0; i < t->n; i++)
		widths[i % t->n_cols] = MAX(widths[i % t->n_cols],
		    width_of(t->cells[i]));
	print_row(t, t->heads, widths, indent, f);
	for (i = 0; i + t->n_cols <= t->n; i += t->n_cols)
		print_row(t, (const char *const *)t->cells + i, widths,
		    indent, f);
	free(widths);
}
