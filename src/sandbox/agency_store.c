/*
 * agency_store.c - tree, reading, expiry times, log.  Operations and
 * preconditions are in agency_ops.c.
 */
#include <stdlib.h>
#include <string.h>

#include "sandbox/agency_store_priv.h"

static void		 undo_free(struct store_undo *);
static int		 import_into(struct json_object *, const char *,
			    struct json_object *, unsigned);
static struct json_object *copy_visible(struct json_object *, bool);
static struct json_object *copy_all(struct json_object *);
static void		 entry_free(struct agency_entry *);

struct agency_store *
agency_store_new(void)
{
	struct agency_store	*s;

	s = xcalloc(1, sizeof(*s));
	s->root = json_object_new_object();
	return s;
}

void
agency_store_free(struct agency_store **sp)
{
	struct agency_store	*s = *sp;
	size_t			 i;

	if (s == NULL)
		return;
	*sp = NULL;
	json_object_put(s->root);
	map_free(&s->ttl, free);
	map_free(&s->clients, NULL);
	for (i = 0; i < s->nlog; i++)
		entry_free(&s->log[(s->log_start + i) % AGENCY_LOG_KEEP]);
	free(s->log);
	free(s->undo);
	free(s);
}

void
agency_store_clear(struct agency_store *s)
{
	json_object_put(s->root);
	s->root = json_object_new_object();
	map_free(&s->ttl, free);
}

/* ---- paths -------------------------------------------------------------- */

void
agency_path_split(const char *path, struct agency_path *p)
{
	size_t	 cap = 0;
	char	*at, *part;

	p->n = 0;
	p->part = NULL;
	p->text = xstrdup(path);
	for (at = p->text; (part = strsep(&at, "/")) != NULL; ) {
		if (*part == '\0')
			continue;
		if (p->n == cap) {
			cap = cap == 0 ? 8 : cap * 2;
			p->part = xrealloc(p->part, cap * sizeof(*p->part));
		}
		p->part[p->n++] = part;
	}
}

void
agency_path_free(struct agency_path *p)
{
	free(p->part);
	free(p->text);
	p->part = NULL;
	p->text = NULL;
	p->n = 0;
}

char *
agency_path_normalize(const char *path)
{
	struct agency_path	 p;
	char			*out, *at;
	size_t			 i, len;

	agency_path_split(path, &p);
	at = out = xmalloc(strlen(path) + 2);
	*at++ = '/';
	for (i = 0; i < p.n; i++) {
		if (i != 0)
			*at++ = '/';
		len = strlen(p.part[i]);
		memcpy(at, p.part[i], len);
		at += len;
	}
	*at = '\0';
	agency_path_free(&p);
	return out;
}

/* How many levels of the path exist; *node is the value at the last of them. */
size_t
store_walk(struct agency_store *s, const struct agency_path *p,
    struct json_object **node)
{
	struct json_object	*cur = s->root, *child;
	size_t			 i;

	for (i = 0; i < p->n; i++) {
		if (!json_object_is_type(cur, json_type_object) ||
		    !json_object_object_get_ex(cur, p->part[i], &child))
			break;
		cur = child;
	}
	*node = cur;
	return i;
}

/* NULL also for JSON null; *found tells. */
struct json_object *
store_find(struct agency_store *s, const struct agency_path *p, bool *found)
{
	struct json_object	*node;

	*found = store_walk(s, p, &node) == p->n;
	return *found ? node : NULL;
}

struct json_object *
agency_store_get(struct agency_store *s, const char *path)
{
	struct agency_path	 p;
	struct json_object	*node;
	bool			 found;

	agency_path_split(path, &p);
	node = store_find(s, &p, &found);
	agency_path_free(&p);
	return node;
}

bool
agency_store_has(struct agency_store *s, const char *path)
{
	struct agency_path	 p;
	bool			 found;

	agency_path_split(path, &p);
	(void)store_find(s, &p, &found);
	agency_path_free(&p);
	return found;
}

/* ---- changing the tree, with a way back --------------------------------- */

static struct store_undo *
undo_new(struct agency_store *s, enum store_undo_kind kind)
{
	struct store_undo	*u;

	if (s->nundo == s->undo_cap) {
		s->undo_cap = s->undo_cap == 0 ? 32 : s->undo_cap * 2;
		s->undo = xrealloc(s->undo, s->undo_cap * sizeof(*s->undo));
	}
	u = &s->undo[s->nundo++];
	memset(u, 0, sizeof(*u));
	u->kind = kind;
	return u;
}

/* Takes over value. */
static void
root_set(struct agency_store *s, struct json_object *value)
{
	struct store_undo	*u;

	u = undo_new(s, UNDO_ROOT);
	u->old = s->root;
	s->root = value;
}

/* Takes over value. */
static void
member_set(struct agency_store *s, struct json_object *parent,
    const char *key, struct json_object *value)
{
	struct store_undo	*u;
	struct json_object	*old = NULL;

	u = undo_new(s, UNDO_MEMBER);
	u->parent = json_object_get(parent);
	u->key = xstrdup(key);
	u->had = json_object_object_get_ex(parent, key, &old);
	u->old = json_object_get(old);
	json_object_object_add(parent, key, value);
}

static void
member_del(struct agency_store *s, struct json_object *parent,
    const char *key)
{
	struct store_undo	*u;
	struct json_object	*old = NULL;

	if (!json_object_object_get_ex(parent, key, &old))
		return;
	u = undo_new(s, UNDO_MEMBER);
	u->parent = json_object_get(parent);
	u->key = xstrdup(key);
	u->had = true;
	u->old = json_object_get(old);
	json_object_object_del(parent, key);
}

/* Put value (taken over) at the path; what is in the way gives way. */
void
store_set(struct agency_store *s, const struct agency_path *p,
    struct json_object *value)
{
	struct json_object	*cur, *child;
	size_t			 i;

	if (p->n == 0) {
		root_set(s, value);
		return;
	}
	if (!json_object_is_type(s->root, json_type_object))
		root_set(s, json_object_new_object());
	cur = s->root;
	for (i = 0; i + 1 < p->n; i++) {
		if (!json_object_object_get_ex(cur, p->part[i], &child) ||
		    !json_object_is_type(child, json_type_object)) {
			child = json_object_new_object();
			member_set(s, cur, p->part[i], child);
		}
		cur = child;
	}
	member_set(s, cur, p->part[i], value);
}

void
store_delete(struct agency_store *s, const struct agency_path *p)
{
	struct agency_path	 up = *p;
	struct json_object	*parent;

	if (p->n == 0) {
		root_set(s, json_object_new_object());
		return;
	}
	up.n--;
	if (store_walk(s, &up, &parent) == up.n &&
	    json_object_is_type(parent, json_type_object))
		member_del(s, parent, p->part[p->n - 1]);
}

static void
ttl_undo(struct agency_store *s, const char *path, const uint64_t *old)
{
	struct store_undo	*u;

	u = undo_new(s, UNDO_TTL);
	u->key = xstrdup(path);
	u->had = old != NULL;
	u->expires_ms = old == NULL ? 0 : *old;
}

void
store_ttl_set(struct agency_store *s, const char *path, uint64_t expires_ms)
{
	uint64_t	*t;

	ttl_undo(s, path, map_get(&s->ttl, path));
	t = xmalloc(sizeof(*t));
	*t = expires_ms;
	free(map_put(&s->ttl, path, t));
}

/* What is written anew has no expiry time, and nothing below it has. */
void
store_ttl_forget(struct agency_store *s, const char *path)
{
	struct map_iter	 it;
	size_t		 len = strlen(path);

	if (map_count(&s->ttl) == 0)
		return;
	if (len == 1)
		len = 0;	/* the root: "/" is the prefix of everything */
	MAP_FOREACH(&s->ttl, it) {
		if (strncmp(it.key, path, len) != 0 ||
		    (it.key[len] != '\0' && it.key[len] != '/'))
			continue;
		ttl_undo(s, it.key, it.value);
		free(map_del(&s->ttl, it.key));
	}
}

static void
undo_one(struct agency_store *s, struct store_undo *u)
{
	uint64_t	*t;

	switch (u->kind) {
	case UNDO_ROOT:
		json_object_put(s->root);
		s->root = u->old;
		u->old = NULL;
		break;
	case UNDO_MEMBER:
		if (u->had) {
			json_object_object_add(u->parent, u->key, u->old);
			u->old = NULL;
		} else
			json_object_object_del(u->parent, u->key);
		break;
	case UNDO_TTL:
		if (u->had) {
			t = xmalloc(sizeof(*t));
			*t = u->expires_ms;
			free(map_put(&s->ttl, u->key, t));
		} else
			free(map_del(&s->ttl, u->key));
		break;
	}
}

static void
undo_free(struct store_undo *u)
{
	json_object_put(u->parent);
	json_object_put(u->old);
	free(u->key);
}

void
store_rollback(struct agency_store *s)
{
	while (s->nundo > 0) {
		s->nundo--;
		undo_one(s, &s->undo[s->nundo]);
		undo_free(&s->undo[s->nundo]);
	}
}

void
store_commit(struct agency_store *s)
{
	while (s->nundo > 0)
		undo_free(&s->undo[--s->nundo]);
}

/* ---- values from outside ------------------------------------------------ */

static int
value_check_depth(struct json_object *v, unsigned depth)
{
	size_t	i, n;
	int	r;

	if (depth > AGENCY_DEPTH_MAX)
		return ERR_TOO_BIG;
	if (json_object_is_type(v, json_type_array)) {
		n = json_object_array_length(v);
		for (i = 0; i < n; i++)
			if ((r = value_check_depth(
			    json_object_array_get_idx(v, i), depth + 1)) != 0)
				return r;
	} else if (json_object_is_type(v, json_type_object)) {
		json_object_object_foreach(v, key, val) {
			(void)key;
			if ((r = value_check_depth(val, depth + 1)) != 0)
				return r;
		}
	}
	return 0;
}

/*
 * A value as the tree keeps it: own objects (the caller's stay untouched when
 * the tree changes), keys split at '/'.  depth is the level it will have.
 */
int
store_import(struct json_object *v, unsigned depth, struct json_object **out)
{
	struct json_object	*o;
	int			 r;

	if (!json_object_is_type(v, json_type_object)) {
		if ((r = value_check_depth(v, depth)) != 0)
			return r;
		*out = json_object_get(v);
		return 0;
	}
	if (depth > AGENCY_DEPTH_MAX)
		return ERR_TOO_BIG;
	o = json_object_new_object();
	json_object_object_foreach(v, key, val) {
		if ((r = import_into(o, key, val, depth)) != 0) {
			json_object_put(o);
			return r;
		}
	}
	*out = o;
	return 0;
}

static int
import_into(struct json_object *o, const char *key, struct json_object *val,
    unsigned depth)
{
	struct agency_path	 p;
	struct json_object	*child, *v;
	size_t			 i;
	int			 r;

	if (strchr(key, '/') == NULL) {
		if ((r = store_import(val, depth + 1, &v)) == 0)
			json_object_object_add(o, key, v);
		return r;
	}
	agency_path_split(key, &p);
	if (p.n == 0)
		r = ERR_RANGE;		/* only slashes: no name at all */
	else if (depth + p.n > AGENCY_DEPTH_MAX)
		r = ERR_TOO_BIG;
	else
		r = store_import(val, depth + p.n, &v);
	for (i = 0; r == 0 && i + 1 < p.n; i++) {
		if (!json_object_object_get_ex(o, p.part[i], &child) ||
		    !json_object_is_type(child, json_type_object)) {
			child = json_object_new_object();
			json_object_object_add(o, p.part[i], child);
		}
		o = child;
	}
	if (r == 0)
		json_object_object_add(o, p.part[p.n - 1], v);
	agency_path_free(&p);
	return r;
}

/* ---- reading ------------------------------------------------------------ */

/* hidden: show keys that begin with '.' on this level; deeper ones never. */
static struct json_object *
copy_visible(struct json_object *v, bool hidden)
{
	struct json_object	*o;

	if (!json_object_is_type(v, json_type_object))
		return json_object_get(v);
	o = json_object_new_object();
	json_object_object_foreach(v, key, val) {
		if (key[0] == '.' && !hidden)
			continue;
		json_object_object_add(o, key, copy_visible(val, false));
	}
	return o;
}

static struct json_object *
copy_all(struct json_object *v)
{
	struct json_object	*o;

	if (!json_object_is_type(v, json_type_object))
		return json_object_get(v);
	o = json_object_new_object();
	json_object_object_foreach(v, key, val)
		json_object_object_add(o, key, copy_all(val));
	return o;
}

static int
path_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Put what is at a path into an answer, under the same names. */
static void
read_into(struct agency_store *s, const char *path, bool hidden,
    struct json_object **answer)
{
	struct agency_path	 p;
	struct json_object	*node, *cur, *child;
	size_t			 exist, i;
	bool			 there;

	agency_path_split(path, &p);
	exist = store_walk(s, &p, &node);
	if (p.n == 0) {
		json_object_put(*answer);
		*answer = copy_visible(node, hidden);
	}
	cur = *answer;
	for (i = 0; i < exist; i++) {
		/* A shorter path has brought a scalar here already. */
		if (!json_object_is_type(cur, json_type_object))
			break;
		there = json_object_object_get_ex(cur, p.part[i], &child);
		if (i + 1 == p.n) {
			json_object_object_add(cur, p.part[i],
			    copy_visible(node, hidden));
		} else if (!there) {
			child = json_object_new_object();
			json_object_object_add(cur, p.part[i], child);
		}
		cur = child;
	}
	agency_path_free(&p);
}

struct json_object *
agency_store_read(struct agency_store *s, struct json_object *paths)
{
	struct json_object	 *answer;
	const char		**list;
	size_t			  i, n;
	bool			  hidden = false;

	n = json_object_array_length(paths);
	list = xcalloc(n + 1, sizeof(*list));
	for (i = 0; i < n; i++) {
		list[i] = json_object_get_string(
		    json_object_array_get_idx(paths, i));
		if (list[i] == NULL)
			list[i] = "";
		if (strstr(list[i], "/.") != NULL)
			hidden = true;
	}
	/* Shorter paths first: what is below them then finds its place. */
	qsort(list, n, sizeof(*list), path_compare);
	answer = json_object_new_object();
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(list[i], list[i - 1]) != 0)
			read_into(s, list[i], hidden, &answer);
	free(list);
	return answer;
}

struct json_object *
agency_store_dump(struct agency_store *s)
{
	return copy_all(s->root);
}

static struct json_object *
ttl_dump(struct agency_store *s, uint64_t unit)
{
	struct json_object	*o;
	struct map_iter		 it;

	o = json_object_new_object();
	MAP_FOREACH(&s->ttl, it)
		json_object_object_add(o, it.key, json_object_new_int64(
		    (int64_t)(*(uint64_t *)it.value / unit)));
	return o;
}

struct json_object *
agency_store_dump_ttl(struct agency_store *s)
{
	return ttl_dump(s, 1000);
}

struct json_object *
agency_store_dump_ttl_ms(struct agency_store *s)
{
	return ttl_dump(s, 1);
}

struct json_object *
agency_store_expired(struct agency_store *s, uint64_t now_ms)
{
	struct json_object	*ops = NULL, *op;
	struct map_iter		 it;

	MAP_FOREACH(&s->ttl, it) {
		if (*(uint64_t *)it.value >= now_ms)
			continue;
		if (ops == NULL)
			ops = json_object_new_object();
		op = json_object_new_object();
		json_object_object_add(op, "op",
		    json_object_new_string("delete"));
		json_object_object_add(ops, it.key, op);
	}
	return ops;
}

int
agency_store_restore(struct agency_store *s, struct json_object *tree,
    struct json_object *ttl_ms, uint64_t next_index)
{
	struct json_object	*root;
	uint64_t		*t;
	int			 r;

	if (ttl_ms != NULL && !json_object_is_type(ttl_ms, json_type_object))
		return ERR_FORMAT;
	if ((r = store_import(tree, 0, &root)) != 0)
		return r;
	json_object_put(s->root);
	s->root = root;
	map_free(&s->ttl, free);
	if (ttl_ms != NULL) {
		json_object_object_foreach(ttl_ms, key, val) {
			t = xmalloc(sizeof(*t));
			*t = (uint64_t)json_object_get_int64(val);
			free(map_put(&s->ttl, key, t));
		}
	}
	while (s->nlog > 0) {
		entry_free(&s->log[s->log_start]);
		s->log_start = (s->log_start + 1) % AGENCY_LOG_KEEP;
		s->nlog--;
	}
	map_free(&s->clients, NULL);
	s->next_index = next_index;
	return 0;
}

/* ---- the log ------------------------------------------------------------ */

static void
entry_free(struct agency_entry *e)
{
	free(e->client_id);
	json_object_put(e->query);
}

static void
log_drop_first(struct agency_store *s)
{
	struct agency_entry	*e = &s->log[s->log_start];

	if (e->client_id[0] != '\0' && (uint64_t)(uintptr_t)map_get(
	    &s->clients, e->client_id) == e->index)
		map_del(&s->clients, e->client_id);
	entry_free(e);
	s->log_start = (s->log_start + 1) % AGENCY_LOG_KEEP;
	s->nlog--;
}

uint64_t
agency_store_append(struct agency_store *s, struct json_object *query,
    const char *client_id, uint64_t term, uint64_t epoch_ms)
{
	struct agency_entry	*e;

	if (s->log == NULL)
		s->log = xcalloc(AGENCY_LOG_KEEP, sizeof(*s->log));
	if (s->nlog == AGENCY_LOG_KEEP)
		log_drop_first(s);
	e = &s->log[(s->log_start + s->nlog++) % AGENCY_LOG_KEEP];
	e->index = s->next_index++;
	e->term = term;
	e->epoch_ms = epoch_ms;
	e->client_id = xstrdup(client_id == NULL ? "" : client_id);
	e->query = json_object_get(query);
	if (e->client_id[0] != '\0')
		(void)map_put(&s->clients, e->client_id,
		    (void *)(uintptr_t)e->index);
	return e->index;
}

uint64_t
agency_store_last_index(const struct agency_store *s)
{
	return s->next_index == 0 ? 0 : s->next_index - 1;
}

uint64_t
agency_store_next_index(const struct agency_store *s)
{
	return s->next_index;
}

uint64_t
agency_store_first_index(const struct agency_store *s)
{
	return s->next_index - s->nlog;
}

const struct agency_entry *
agency_store_entry(const struct agency_store *s, uint64_t index)
{
	uint64_t	first = agency_store_first_index(s);

	if (index < first || index >= s->next_index)
		return NULL;
	return &s->log[(s->log_start + (index - first)) % AGENCY_LOG_KEEP];
}

uint64_t
agency_store_inquire(struct agency_store *s, const char *client_id)
{
	return (uint64_t)(uintptr_t)map_get(&s->clients, client_id);
}
