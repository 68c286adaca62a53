/* conf.c - values of options: types, checks, sources */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "conf/conf.h"
#include "conf/conf_priv.h"

const struct conf_option conf_builtin[] = {
	{ .name = "help", .letter = 'h', .type = CONF_BOOL,
	  .flags = CONF_HIDDEN | CONF_NO_FILE, .help = "Print this text." },
	{ .name = "version", .type = CONF_BOOL,
	  .flags = CONF_HIDDEN | CONF_NO_FILE, .help = "Print the version." },
	{ .name = NULL }
};

void
conf_strings_add(struct conf_strings *l, const char *s, size_t len)
{
	l->v = xrealloc(l->v, (l->n + 2) * sizeof(*l->v));
	l->v[l->n++] = xstrndup(s, len);
	l->v[l->n] = NULL;
}

void
conf_strings_free(struct conf_strings *l)
{
	size_t	 i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

int
conf_is_list(const struct conf_option *o)
{
	return o->type == CONF_LIST || o->type == CONF_ENDPOINT_LIST;
}

/* --- text to values ------------------------------------------------------ */

/* What one piece of text means; text is malloc'ed. */
struct parsed {
	char	*text;
	int64_t	 number;
};

static int
in_range(const struct conf_option *o, int64_t n)
{
	return (o->min == 0 && o->max == 0) || (n >= o->min && n <= o->max);
}

static int
parse_bool(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	if (strcmp(s, "true") != 0 && strcmp(s, "false") != 0)
		return err_set(m, ERR_USAGE, "must be true or false");
	p->number = *s == 't';
	p->text = xstrdup(s);
	return 0;
}

static int
parse_int(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	int	 r = str_to_i64(s, &p->number);

	if (r == ERR_FORMAT)
		return err_set(m, ERR_USAGE, "must be a whole number");
	if (r != 0 || !in_range(o, p->number)) {
		if (o->min == 0 && o->max == 0)
			return err_set(m, ERR_USAGE, "is too large");
		return err_set(m, ERR_USAGE,
		    "must be between %lld and %lld", (long long)o->min,
		    (long long)o->max);
	}
	p->text = xasprintf("%lld", (long long)p->number);
	return 0;
}

static int
parse_duration(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	char	 lo[STR_NUMBER_SIZE], hi[STR_NUMBER_SIZE];
	int	 r = str_to_duration_ms(s, &p->number);

	if (r == ERR_FORMAT)
		return err_set(m, ERR_USAGE,
		    "must be a duration such as 300ms, 90s or 1h30m");
	if (r != 0)
		return err_set(m, ERR_USAGE, "is too long");
	if (p->number < 0 && o->min >= 0)
		return err_set(m, ERR_USAGE, "must not be negative");
	if (!in_range(o, p->number))
		return err_set(m, ERR_USAGE, "must be between %s and %s",
		    str_format_duration_ns(o->min * 1000000, lo),
		    str_format_duration_ns(o->max * 1000000, hi));
	p->text = xstrdup(s);
	return 0;
}

static int
parse_bytes(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	char		 lo[STR_NUMBER_SIZE], hi[STR_NUMBER_SIZE];
	uint64_t	 n;
	int		 r = str_to_bytes(s, &n);

	if (r == ERR_FORMAT)
		return err_set(m, ERR_USAGE,
		    "must be a number of bytes such as 4096, 64KiB or 32GiB");
	if (r != 0 || n > INT64_MAX)
		return err_set(m, ERR_USAGE, "is too large");
	p->number = (int64_t)n;
	if (!in_range(o, p->number))
		return err_set(m, ERR_USAGE, "must be between %s and %s",
		    str_format_bytes((uint64_t)o->min, lo),
		    str_format_bytes((uint64_t)o->max, hi));
	p->text = xstrdup(s);
	return 0;
}

static int
parse_enum(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	struct buf	 names = BUF_INIT;
	int		 i;

	for (i = 0; o->choices[i] != NULL; i++) {
		if (strcmp(o->choices[i], s) == 0) {
			buf_free(&names);
			p->number = i;
			p->text = xstrdup(s);
			return 0;
		}
		buf_printf(&names, "%s%s", i == 0 ? "" :
		    o->choices[i + 1] == NULL ? " or " : ", ", o->choices[i]);
	}
	err_set(m, ERR_USAGE, "must be %s", buf_cstr(&names));
	buf_free(&names);
	return ERR_USAGE;
}

static int
parse_endpoint(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	if (conf_endpoint_normalize(s, (unsigned)o->min, &p->text) != 0)
		return err_set(m, ERR_USAGE,
		    "must be an endpoint such as https://host:8529");
	return 0;
}

static int
parse_string(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	p->text = xstrdup(s);
	return 0;
}

static const struct {
	int		(*parse)(const struct conf_option *, const char *,
			    struct parsed *, struct err_msg *);
	const char	*arg;		/* in help, unless the option says */
} types[CONF_TYPE_COUNT] = {
	[CONF_STRING] =		{ parse_string,		"TEXT" },
	[CONF_LIST] =		{ parse_string,		"TEXT,..." },
	[CONF_BOOL] =		{ parse_bool,		NULL },
	[CONF_INT] =		{ parse_int,		"N" },
	[CONF_DURATION] =	{ parse_duration,	"DURATION" },
	[CONF_BYTES] =		{ parse_bytes,		"BYTES" },
	[CONF_ENUM] =		{ parse_enum,		"WORD" },
	[CONF_ENDPOINT] =	{ parse_endpoint,	"URL" },
	[CONF_ENDPOINT_LIST] =	{ parse_endpoint,	"URL,..." }
};

const char *
conf_arg_name(const struct conf_option *o)
{
	if (o->type != CONF_BOOL && o->arg != NULL)
		return o->arg;
	return types[o->type].arg;
}

static int
parse_one(const struct conf_option *o, const char *s, struct parsed *p,
    struct err_msg *m)
{
	int	 r;

	p->text = NULL;
	p->number = 0;
	if (*s == '\0' && o->flags & CONF_FILE_PATH)
		return err_set(m, ERR_USAGE,
		    "Missing filename for option --%s", o->name);
	if ((r = types[o->type].parse(o, s, p, m)) != 0)
		return r;
	if (o->check != NULL && (r = o->check(p->text, m)) != 0) {
		free(p->text);
		p->text = NULL;
	}
	return r;
}

/* --- setting ------------------------------------------------------------- */

static void
value_clear(struct conf_value *v)
{
	free(v->text);
	free(v->where);
	v->text = v->where = NULL;
	v->number = 0;
	conf_strings_free(&v->list);
}

/* A copy of s[0..n) without blanks at its ends: "a, b" is "a,b". */
static char *
trimmed(const char *s, size_t n)
{
	for (; n > 0 && *s == ' '; n--)
		s++;
	while (n > 0 && s[n - 1] == ' ')
		n--;
	return xstrndup(s, n);
}

/* Split at commas; all or nothing. */
static int
parse_list(const struct conf_option *o, const char *s,
    struct conf_strings *out, struct err_msg *m)
{
	struct conf_strings	 l = { NULL, 0 };
	struct parsed		 p;
	char			*piece;
	size_t			 n;
	int			 r = 0, more;

	for (more = *s != '\0'; r == 0 && more; s += n + 1) {
		n = strcspn(s, ",");
		more = s[n] == ',';
		p.text = NULL;
		piece = trimmed(s, n);
		if (*piece == '\0')
			r = err_set(m, ERR_USAGE, "has an empty element");
		else
			r = parse_one(o, piece, &p, m);
		if (r == 0)
			conf_strings_add(&l, p.text, strlen(p.text));
		free(p.text);
		free(piece);
	}
	if (r != 0)
		conf_strings_free(&l);
	else
		*out = l;
	return r;
}

int
conf_set(struct conf_value *v, enum conf_source source, const char *where,
    const char *text, struct err_msg *m)
{
	struct conf_strings	 l = { NULL, 0 };
	struct parsed		 p = { NULL, 0 };
	size_t			 i;
	int			 r;

	if (conf_is_list(v->opt))
		r = parse_list(v->opt, text, &l, m);
	else
		r = parse_one(v->opt, text, &p, m);
	if (r != 0)
		return r;
	/* Even what does not take effect has to be right. */
	if (source < v->source) {
		conf_strings_free(&l);
		free(p.text);
		return 0;
	}
	if (!conf_is_list(v->opt) || source != v->source)
		value_clear(v);
	v->source = source;
	free(v->where);
	v->where = where == NULL ? NULL : xstrdup(where);
	v->text = p.text;
	v->number = p.number;
	for (i = 0; i < l.n; i++)
		conf_strings_add(&v->list, l.v[i], strlen(l.v[i]));
	conf_strings_free(&l);
	return 0;
}

/* --- tables -------------------------------------------------------------- */

static void
add_values(struct conf *c, const struct conf_option *o)
{
	struct conf_value	*v;
	struct err_msg		 m;

	for (; o->name != NULL; o++) {
		c->values = xrealloc(c->values,
		    (c->n_values + 1) * sizeof(*c->values));
		v = &c->values[c->n_values++];
		memset(v, 0, sizeof(*v));
		v->opt = o;
		if (o->type == CONF_ENUM)
			v->number = -1;
		if (o->def != NULL &&
		    conf_set(v, CONF_FROM_DEFAULT, NULL, o->def, &m) != 0)
			fatal("bug: default of --%s %s", o->name, m.text);
	}
}

struct conf *
conf_new(const struct conf_option *const *tables)
{
	struct conf	*c = xcalloc(1, sizeof(*c));

	for (; tables != NULL && *tables != NULL; tables++)
		add_values(c, *tables);
	add_values(c, conf_builtin);
	return c;
}

struct conf *
conf_new_command(const struct conf_program *p, const struct conf_command *cmd)
{
	struct conf	*c = conf_new(cmd->tables);

	c->program = p;
	c->cmd = cmd;
	return c;
}

void
conf_free(struct conf **c)
{
	size_t	 i;

	if (*c == NULL)
		return;
	for (i = 0; i < (*c)->n_values; i++)
		value_clear(&(*c)->values[i]);
	free((*c)->values);
	conf_strings_free(&(*c)->args);
	free(*c);
	*c = NULL;
}

static int
is_named(const struct conf_option *o, const char *name)
{
	return strcmp(o->name, name) == 0 ||
	    (o->alias != NULL && strcmp(o->alias, name) == 0);
}

struct conf_value *
conf_find(const struct conf *c, const char *name)
{
	size_t	 i;

	for (i = 0; i < c->n_values; i++)
		if (is_named(c->values[i].opt, name))
			return &c->values[i];
	return NULL;
}

const struct conf_option *
conf_find_option(const struct conf_option *const *tables, const char *name)
{
	const struct conf_option	*o;

	for (; tables != NULL && *tables != NULL; tables++)
		for (o = *tables; o->name != NULL; o++)
			if (is_named(o, name))
				return o;
	return NULL;
}

const struct conf_option *
conf_find_anywhere(const struct conf_program *p, const char *name)
{
	static const struct conf_option *const	 builtin[] = {
		conf_builtin, NULL
	};
	const struct conf_option		*o;
	const struct conf_command		*cmd;

	for (cmd = p->commands; cmd->words != NULL; cmd++)
		if ((o = conf_find_option(cmd->tables, name)) != NULL)
			return o;
	return conf_find_option(builtin, name);
}

/* --- reading ------------------------------------------------------------- */

/* Asking for what no table has is a mistake in the program. */
static const struct conf_value *
get(const struct conf *c, const char *name, unsigned type_mask)
{
	size_t	 i;

	for (i = 0; i < c->n_values; i++)
		if (strcmp(c->values[i].opt->name, name) == 0) {
			if (!(type_mask & 1u << c->values[i].opt->type))
				fatal("bug: --%s is of another type", name);
			return &c->values[i];
		}
	fatal("bug: there is no option --%s", name);
}

const char *
conf_string(const struct conf *c, const char *name)
{
	return get(c, name, 1u << CONF_STRING | 1u << CONF_ENDPOINT |
	    1u << CONF_ENUM)->text;
}

int
conf_bool(const struct conf *c, const char *name)
{
	return (int)get(c, name, 1u << CONF_BOOL)->number;
}

int64_t
conf_int(const struct conf *c, const char *name)
{
	return get(c, name, 1u << CONF_INT)->number;
}

int64_t
conf_duration_ms(const struct conf *c, const char *name)
{
	return get(c, name, 1u << CONF_DURATION)->number;
}

uint64_t
conf_bytes(const struct conf *c, const char *name)
{
	return (uint64_t)get(c, name, 1u << CONF_BYTES)->number;
}

int
conf_enum(const struct conf *c, const char *name)
{
	return (int)get(c, name, 1u << CONF_ENUM)->number;
}

static const char *const *
strings(const struct conf_strings *l, size_t *n)
{
	static const char *const	 none[] = { NULL };

	if (n != NULL)
		*n = l->n;
	return l->v == NULL ? none : (const char *const *)l->v;
}

const char *const *
conf_list(const struct conf *c, const char *name, size_t *n)
{
	return strings(&get(c, name, 1u << CONF_LIST |
	    1u << CONF_ENDPOINT_LIST)->list, n);
}

int
conf_is_set(const struct conf *c, const char *name)
{
	return get(c, name, ~0u)->source != CONF_FROM_DEFAULT;
}

int
conf_has(const struct conf *c, const char *name)
{
	return conf_find(c, name) != NULL;
}

const char *const *
conf_args(const struct conf *c, size_t *n)
{
	return strings(&c->args, n);
}

const struct conf_command *
conf_command(const struct conf *c)
{
	return c->cmd;
}

int
conf_check_required(const struct conf *c, struct err_msg *m)
{
	const struct conf_value	*v;
	size_t			 i;

	for (i = 0; i < c->n_values; i++) {
		v = &c->values[i];
		if (v->opt->flags & CONF_REQUIRED && v->text == NULL &&
		    v->list.n == 0)
			return err_set(m, ERR_USAGE, "--%s is required",
			    v->opt->name);
	}
	return 0;
}
