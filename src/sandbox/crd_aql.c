/* crd_aql.c - a recursive-descent parser for the queries in crd_aql.h */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sandbox/crd_aql.h"
#include "sandbox/errors.h"
#include "vpack/vpack.h"

enum token_kind {
	T_END,
	T_NAME,			/* also keywords */
	T_QUOTED,		/* `name` */
	T_STRING,
	T_NUMBER,
	T_BIND,			/* @x */
	T_BIND_COLLECTION,	/* @@x */
	T_SYMBOL,		/* one or two characters */
	T_BAD
};

struct token {
	enum token_kind	 kind;
	const char	*at;	/* in the query, with quotes */
	size_t		 len;
};

#define BINDS_MAX	64
#define LIMIT_UNBOUNDED	((uint64_t)128 << 20)	/* what null means there */

struct parser {
	const char	*query, *pos, *end;
	struct token	 tok;
	const uint8_t	*bind;
	const char	*used[BINDS_MAX];	/* bind names seen */
	size_t		 nused;
	char		 var[AQL_NAME_MAX];
	struct aql_plan	*plan;
	struct err_msg	*em;
	int		 err;		/* first error; sticks */
};

/* ---- tokens -------------------------------------------------------------------- */

static void
skip_space(struct parser *p)
{
	for (;;) {
		while (p->pos < p->end && isspace((unsigned char)*p->pos))
			p->pos++;
		if (p->end - p->pos >= 2 && p->pos[0] == '/' &&
		    p->pos[1] == '/') {
			while (p->pos < p->end && *p->pos != '\n')
				p->pos++;
		} else if (p->end - p->pos >= 2 && p->pos[0] == '/' &&
		    p->pos[1] == '*') {
			p->pos += 2;
			while (p->end - p->pos >= 2 &&
			    !(p->pos[0] == '*' && p->pos[1] == '/'))
				p->pos++;
			p->pos = p->end - p->pos >= 2 ? p->pos + 2 : p->end;
		} else
			return;
	}
}

static bool
is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$';
}

static const char *
name_end(const struct parser *p, const char *s)
{
	while (s < p->end && is_name_char(*s))
		s++;
	return s;
}

/* Behind the closing quote, or NULL when there is none. */
static const char *
quoted_end(const struct parser *p, char quote)
{
	const char	*s = p->pos + 1;

	for (; s < p->end; s++) {
		if (*s == '\\' && quote != '`')
			s++;
		else if (*s == quote)
			return s + 1;
	}
	return NULL;
}

static const char *
number_end(const struct parser *p)
{
	const char	*s = p->pos;

	if (*s == '-')
		s++;
	while (s < p->end && (isdigit((unsigned char)*s) || *s == '.' ||
	    *s == 'e' || *s == 'E' ||
	    ((*s == '+' || *s == '-') && (s[-1] == 'e' || s[-1] == 'E'))))
		s++;
	return s;
}

static void
next(struct parser *p)
{
	const char	*s, *e;

	skip_space(p);
	s = p->pos;
	p->tok.at = s;
	if (s == p->end) {
		p->tok.kind = T_END;
		p->tok.len = 0;
		return;
	}
	if (*s == '@') {
		p->tok.kind = s + 1 < p->end && s[1] == '@' ?
		    T_BIND_COLLECTION : T_BIND;
		e = name_end(p, s + (p->tok.kind == T_BIND ? 1 : 2));
	} else if (isdigit((unsigned char)*s) || (*s == '-' &&
	    s + 1 < p->end && isdigit((unsigned char)s[1]))) {
		p->tok.kind = T_NUMBER;
		e = number_end(p);
	} else if (is_name_char(*s)) {
		p->tok.kind = T_NAME;
		e = name_end(p, s);
	} else if (*s == '"' || *s == '\'' || *s == '`') {
		p->tok.kind = *s == '`' ? T_QUOTED : T_STRING;
		e = quoted_end(p, *s);
	} else {
		p->tok.kind = T_SYMBOL;
		e = s + (p->end - s >= 2 && s[1] == '=' &&
		    strchr("=!<>", *s) != NULL ? 2 : 1);
	}
	if (e == NULL || !isprint((unsigned char)*s)) {
		p->tok.kind = T_BAD;
		e = p->end;
	}
	p->tok.len = (size_t)(e - s);
	p->pos = e;
}

static bool
is_word(const struct parser *p, const char *word)
{
	return p->tok.kind == T_NAME && p->tok.len == strlen(word) &&
	    strncasecmp(p->tok.at, word, p->tok.len) == 0;
}

static bool
is_symbol(const struct parser *p, const char *s)
{
	return p->tok.kind == T_SYMBOL && p->tok.len == strlen(s) &&
	    memcmp(p->tok.at, s, p->tok.len) == 0;
}

/* ---- errors --------------------------------------------------------------------- */

/* Words of AQL that lead to queries we do not run. */
static bool
may_be_aql(const struct parser *p)
{
	static const char *const	 words[] = { "LET", "INSERT", "UPDATE",
		"REPLACE", "UPSERT", "REMOVE", "COLLECT", "SORT", "FILTER",
		"LIMIT", "RETURN", "FOR", "SEARCH", "WINDOW", "WITH", "OPTIONS",
		"OUTBOUND", "INBOUND", "ANY", "GRAPH", "DISTINCT", "AND", "OR",
		"NOT", "IN", "LIKE", "PRUNE", "AGGREGATE", "INTO", "KEEP" };
	size_t				 i;

	if (p->tok.kind == T_BAD || p->tok.kind == T_END)
		return false;
	if (p->tok.kind != T_NAME)
		return p->tok.at != p->query;
	for (i = 0; i < NITEMS(words); i++)
		if (is_word(p, words[i]))
			return true;
	/* A function call, or a variable where we know none. */
	return p->tok.at != p->query;
}

/* The token at hand does not fit what we know. */
static void
unexpected(struct parser *p)
{
	int	 n = (int)MIN(p->tok.len, (size_t)40);

	if (p->err != 0)
		return;
	if (may_be_aql(p))
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: this AQL query (at '%.*s')", n,
		    p->tok.at);
	else
		p->err = err_set(p->em, AE_QUERY_PARSE,
		    "syntax error, unexpected %s near '%.*s' at position "
		    "1:%zu", p->tok.kind == T_END ? "end of query string" :
		    "input", n, p->tok.at,
		    (size_t)(p->tok.at - p->query) + 1);
}

static bool
accept_word(struct parser *p, const char *word)
{
	if (p->err != 0 || !is_word(p, word))
		return false;
	next(p);
	return true;
}

static bool
accept_symbol(struct parser *p, const char *s)
{
	if (p->err != 0 || !is_symbol(p, s))
		return false;
	next(p);
	return true;
}

static void
expect_word(struct parser *p, const char *word)
{
	if (!accept_word(p, word))
		unexpected(p);
}

static void
expect_symbol(struct parser *p, const char *s)
{
	if (!accept_symbol(p, s))
		unexpected(p);
}

/* ---- names and values ------------------------------------------------------------ */

static void
copy_name(struct parser *p, const char *at, size_t len, char *out)
{
	if (len >= AQL_NAME_MAX) {
		p->err = err_set(p->em, AE_QUERY_PARSE, "name is too long");
		return;
	}
	memcpy(out, at, len);
	out[len] = '\0';
}

/* An identifier, quoted or not. */
static void
take_name(struct parser *p, char *out)
{
	if (p->err != 0)
		return;
	if (p->tok.kind == T_NAME && !isdigit((unsigned char)*p->tok.at))
		copy_name(p, p->tok.at, p->tok.len, out);
	else if (p->tok.kind == T_QUOTED)
		copy_name(p, p->tok.at + 1, p->tok.len - 2, out);
	else {
		unexpected(p);
		return;
	}
	next(p);
}

/* Value of the bind parameter at hand; NULL: error. */
static const uint8_t *
take_bind(struct parser *p)
{
	const char	*name = p->tok.at + 1;
	size_t		 len = p->tok.len - 1;
	const uint8_t	*v;

	v = p->bind == NULL ? NULL : vp_obj_get(p->bind, name, len);
	if (len == 0 || v == NULL) {
		p->err = err_set(p->em, AE_QUERY_BIND_PARAMETER_MISSING,
		    "no value specified for declared bind parameter '%.*s'",
		    (int)MIN(len, (size_t)100), name);
		return NULL;
	}
	if (p->nused < BINDS_MAX)
		p->used[p->nused++] = name;
	next(p);
	return v;
}

static void
take_collection(struct parser *p, char *out)
{
	const uint8_t	*v;
	const char	*s;
	size_t		 len;

	if (p->err == 0 && p->tok.kind == T_BIND_COLLECTION) {
		if ((v = take_bind(p)) == NULL)
			return;
		if ((s = vp_get_string(v, &len)) == NULL)
			p->err = err_set(p->em, AE_QUERY_BIND_PARAMETER_TYPE,
			    "bind parameter has an invalid value or type");
		else
			copy_name(p, s, len, out);
		return;
	}
	take_name(p, out);
}

/* 'it\'s' or "..." as VelocyPack. */
static void
put_string(struct parser *p, struct vp_builder *b)
{
	struct buf	 text = BUF_INIT;
	const char	*s = p->tok.at + 1, *e = p->tok.at + p->tok.len - 1;

	for (; s < e; s++) {
		if (*s != '\\' || s + 1 == e) {
			buf_append_u8(&text, (uint8_t)*s);
			continue;
		}
		s++;
		switch (*s) {
		case 'n': buf_append_u8(&text, '\n'); break;
		case 't': buf_append_u8(&text, '\t'); break;
		case 'r': buf_append_u8(&text, '\r'); break;
		case 'b': buf_append_u8(&text, '\b'); break;
		case 'f': buf_append_u8(&text, '\f'); break;
		default: buf_append_u8(&text, (uint8_t)*s); break;
		}
	}
	if (!vp_utf8_ok((const char *)text.data, text.len))
		p->err = err_set(p->em, AE_QUERY_PARSE, "string is not UTF-8");
	else
		vpb_string(b, (const char *)text.data, text.len);
	buf_free(&text);
}

static void
put_constant(struct parser *p, struct vp_builder *b)
{
	const uint8_t	*v;

	if (p->tok.kind == T_BIND) {
		if ((v = take_bind(p)) != NULL)
			vpb_slice(b, v);
		return;
	}
	if (is_word(p, "null"))
		vpb_null(b);
	else if (is_word(p, "true") || is_word(p, "false"))
		vpb_bool(b, is_word(p, "true"));
	else if (p->tok.kind == T_STRING)
		put_string(p, b);
	else if (p->tok.kind != T_NUMBER ||
	    vp_from_json(b, p->tok.at, p->tok.len, NULL) != 0)
		unexpected(p);
	if (p->err == 0)
		next(p);
}

static void
take_constant(struct parser *p, struct buf *out)
{
	struct vp_builder	*b;

	if (p->err != 0)
		return;
	b = xmalloc(sizeof(*b));
	vpb_init(b, out);
	put_constant(p, b);
	if (p->err == 0 && vpb_end(b) != 0)
		unexpected(p);
	vpb_free(b);
	free(b);
}

/* null is as absent, which is -1 here. */
static void
take_count(struct parser *p, int64_t *n)
{
	struct buf	 v = BUF_INIT;
	double		 d;

	take_constant(p, &v);
	if (p->err != 0 || v.len == 0 || vp_is_null(v.data))
		*n = -1;
	else if (!vp_is_number(v.data) || vp_get_double(v.data, &d) != 0 ||
	    d < 0 || d > 1e18)
		p->err = err_set(p->em, AE_QUERY_NUMBER_OUT_OF_RANGE,
		    "LIMIT value is not a number or out of range");
	else
		*n = (int64_t)d;
	buf_free(&v);
}

/* The value of a bind parameter, or a string, as a part of a path. */
static void
take_part_value(struct parser *p, char *part)
{
	struct buf	 v = BUF_INIT;
	const char	*s;
	size_t		 len;

	if (p->tok.kind != T_BIND && p->tok.kind != T_STRING) {
		unexpected(p);
		return;
	}
	take_constant(p, &v);
	if (p->err == 0 && (s = vp_get_string(v.data, &len)) != NULL)
		copy_name(p, s, len, part);
	else if (p->err == 0)
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: an attribute whose name is no "
		    "string");
	buf_free(&v);
}

/* The next part of a path: .name, .@bind, ["name"], [@bind]; false: none. */
static bool
take_part(struct parser *p, char *part)
{
	if (accept_symbol(p, ".")) {
		if (p->tok.kind == T_BIND)
			take_part_value(p, part);
		else
			take_name(p, part);
	} else if (accept_symbol(p, "[")) {
		take_part_value(p, part);
		expect_symbol(p, "]");
	} else
		return false;
	/* Paths are kept with dots between their parts. */
	if (p->err == 0 && (part[0] == '\0' || strchr(part, '.') != NULL))
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: the attribute name '%.100s'",
		    part);
	return p->err == 0;
}

/* d or d.a.b; the path may be empty when bare is allowed. */
static void
take_path(struct parser *p, char *path, bool bare)
{
	char	 name[AQL_NAME_MAX], part[AQL_NAME_MAX];
	size_t	 len = 0;

	path[0] = '\0';
	take_name(p, name);
	if (p->err != 0)
		return;
	if (strcmp(name, p->var) != 0) {
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: an expression with '%.100s'",
		    name);
		return;
	}
	while (p->err == 0 && take_part(p, part)) {
		if (len + strlen(part) + 2 > AQL_NAME_MAX)
			p->err = err_set(p->em, AE_QUERY_PARSE,
			    "attribute path is too long");
		else
			len += (size_t)snprintf(path + len, AQL_NAME_MAX - len,
			    "%s%s", len == 0 ? "" : ".", part);
	}
	if (p->err == 0 && len == 0 && !bare)
		unexpected(p);
}

/* ---- clauses ----------------------------------------------------------------------- */

static void
filter_clause(struct parser *p)
{
	struct aql_filter	*f;

	do {
		if (p->plan->nfilters == AQL_FILTERS_MAX) {
			unexpected(p);
			return;
		}
		f = &p->plan->filters[p->plan->nfilters++];
		take_path(p, f->path, false);
		expect_symbol(p, "==");
		take_constant(p, &f->value);
	} while (accept_word(p, "AND") ||
	    (is_symbol(p, "&") && accept_symbol(p, "&") &&
	    accept_symbol(p, "&")));
}

static void
sort_clause(struct parser *p)
{
	char	 path[AQL_NAME_MAX];

	take_path(p, path, false);
	if (p->err == 0 && strcmp(path, "_key") != 0)
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: SORT by anything but _key");
	p->plan->sort = true;
	if (accept_word(p, "DESC"))
		p->plan->descending = true;
	else
		accept_word(p, "ASC");
}

static void
limit_clause(struct parser *p)
{
	int64_t	 offset = 0, n = 0;

	take_count(p, &n);
	if (accept_symbol(p, ",")) {
		offset = n;
		take_count(p, &n);
	}
	p->plan->has_limit = true;
	p->plan->offset = offset < 0 ? 0 : (uint64_t)offset;
	p->plan->limit = n < 0 ? LIMIT_UNBOUNDED : (uint64_t)n;
}

static void
collect_clause(struct parser *p)
{
	char	 into[AQL_NAME_MAX], back[AQL_NAME_MAX];

	expect_word(p, "WITH");
	expect_word(p, "COUNT");
	expect_word(p, "INTO");
	take_name(p, into);
	expect_word(p, "RETURN");
	take_name(p, back);
	if (p->err == 0 && strcmp(into, back) != 0)
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: COLLECT that returns '%.100s'",
		    back);
	p->plan->kind = AQL_COUNT;
}

/* REMOVE d | d._key | {_key: d._key} IN c */
static void
remove_clause(struct parser *p)
{
	char	 path[AQL_NAME_MAX], key[AQL_NAME_MAX];
	char	 collection[AQL_NAME_MAX];

	p->plan->kind = AQL_REMOVE;
	if (accept_symbol(p, "{")) {
		take_name(p, key);
		expect_symbol(p, ":");
		take_path(p, path, false);
		expect_symbol(p, "}");
		if (p->err == 0 && strcmp(key, "_key") != 0)
			unexpected(p);
	} else
		take_path(p, path, true);
	if (p->err == 0 && path[0] != '\0' && strcmp(path, "_key") != 0)
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: REMOVE by '%.100s'", path);
	if (!accept_word(p, "INTO"))
		expect_word(p, "IN");
	take_collection(p, collection);
	if (p->err == 0 && strcmp(collection, p->plan->collection) != 0)
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: REMOVE from another collection");
	if (p->err == 0 && (p->plan->nfilters > 1 || p->plan->sort ||
	    p->plan->offset != 0))
		p->err = err_set(p->em, AE_HTTP_NOT_IMPLEMENTED,
		    "not done by the sandbox: REMOVE with more than one "
		    "condition, SORT or an offset");
}

static void
for_query(struct parser *p)
{
	p->plan->kind = AQL_SCAN;
	take_name(p, p->var);
	expect_word(p, "IN");
	take_collection(p, p->plan->collection);
	while (p->err == 0 && accept_word(p, "FILTER"))
		filter_clause(p);
	if (accept_word(p, "SORT"))
		sort_clause(p);
	if (accept_word(p, "LIMIT"))
		limit_clause(p);
	if (accept_word(p, "RETURN"))
		take_path(p, p->plan->path, true);
	else if (accept_word(p, "REMOVE"))
		remove_clause(p);
	else if (accept_word(p, "COLLECT"))
		collect_clause(p);
	else
		unexpected(p);
}

static void
return_query(struct parser *p)
{
	if (is_word(p, "LENGTH") || is_word(p, "COUNT") ||
	    is_word(p, "COLLECTION_COUNT")) {
		next(p);
		p->plan->kind = AQL_COUNT;
		expect_symbol(p, "(");
		take_collection(p, p->plan->collection);
		expect_symbol(p, ")");
	} else {
		p->plan->kind = AQL_VALUE;
		take_constant(p, &p->plan->value);
	}
}

/* Every given bind parameter must have been used. */
static void
check_binds(struct parser *p)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	size_t		 i;

	if (p->bind == NULL)
		return;
	vp_obj_iter(&it, p->bind);
	while (p->err == 0 && vp_obj_next(&it, &a)) {
		for (i = 0; i < p->nused; i++)
			if (strncmp(p->used[i], a.name, a.nlen) == 0 &&
			    !is_name_char(p->used[i][a.nlen]))
				break;
		if (i == p->nused)
			p->err = err_set(p->em,
			    AE_QUERY_BIND_PARAMETER_UNDECLARED,
			    "bind parameter '%.*s' was not declared in the "
			    "query", (int)MIN(a.nlen, (size_t)100), a.name);
	}
}

int
aql_parse(const char *query, size_t len, const uint8_t *bind,
    struct aql_plan *plan, struct err_msg *em)
{
	struct parser	 p = { .query = NULL, .bind = bind, .plan = plan,
		    .em = em };
	char		*copy;

	memset(plan, 0, sizeof(*plan));
	if (bind != NULL && !vp_is_object(bind))
		return err_set(em, AE_QUERY_BIND_PARAMETERS_INVALID, "%s",
		    arango_error_text(AE_QUERY_BIND_PARAMETERS_INVALID));
	/* With a NUL behind it, so that one character of look-ahead is safe. */
	copy = xmalloc(len + 1);
	memcpy(copy, query, len);
	copy[len] = '\0';
	p.query = p.pos = copy;
	p.end = copy + len;
	next(&p);
	if (p.tok.kind == T_END)
		p.err = err_set(em, AE_QUERY_EMPTY, "query is empty");
	else if (accept_word(&p, "FOR"))
		for_query(&p);
	else if (accept_word(&p, "RETURN"))
		return_query(&p);
	else
		unexpected(&p);
	if (p.err == 0 && p.tok.kind != T_END)
		unexpected(&p);
	check_binds(&p);
	free(copy);
	return p.err;
}

void
aql_plan_free(struct aql_plan *plan)
{
	size_t	 i;

	for (i = 0; i < plan->nfilters; i++)
		buf_free(&plan->filters[i].value);
	buf_free(&plan->value);
}
