/* map.c - string -> pointer, in the order of insertion */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/random.h"

#define MIN_BUCKETS	8

struct map_entry {
	struct map_entry	*chain;		/* next in the bucket */
	void			*value;
	uint64_t		 hash;
	uint64_t		 seq;		/* rises along map.order */
	size_t			 pos;		/* in map.order */
	size_t			 key_len;
	char			 key[];		/* and a NUL */
};

/*
 * Keys come from outside at times, so the hash depends on a number that
 * nobody outside knows: otherwise a peer could send keys that all fall into
 * one bucket.
 */
static uint64_t
hash_key(const void *key, size_t len)
{
	static uint64_t	 secret;
	const uint8_t	*p = key;
	uint64_t	 h, word;

	if (secret == 0) {
		rand_secret(&secret, sizeof(secret));
		secret |= 1;
	}
	h = secret ^ len * 0x9e3779b97f4a7c15;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		h = (h ^ word) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, p, len);
	h = (h ^ word ^ secret >> 17) * 0xc4ceb9fe1a85ec53;
	h ^= h >> 29;
	h *= secret;
	return h ^ h >> 32;
}

static struct map_entry *
find(const struct map *m, const void *key, size_t len, uint64_t hash)
{
	struct map_entry	*e;

	if (m->n_buckets == 0)
		return NULL;
	e = m->buckets[hash & (m->n_buckets - 1)];
	for (; e != NULL; e = e->chain)
		if (e->hash == hash && e->key_len == len &&
		    (len == 0 || memcmp(e->key, key, len) == 0))
			return e;
	return NULL;
}

static void
grow(struct map *m)
{
	struct map_entry	*e, **bucket;
	size_t			 i, n = MAX(m->n_buckets * 2, MIN_BUCKETS);

	free(m->buckets);
	m->buckets = xcalloc(n, sizeof(*m->buckets));
	m->n_buckets = n;
	for (i = 0; i < m->n_order; i++) {
		if ((e = m->order[i]) == NULL)
			continue;
		bucket = &m->buckets[e->hash & (n - 1)];
		e->chain = *bucket;
		*bucket = e;
	}
}

/* Room for one more in m->order. */
static void
order_reserve(struct map *m)
{
	size_t	 i, n = 0;

	if (m->n_order < m->order_cap)
		return;
	if (m->n > m->n_order / 2) {
		m->order_cap = MAX(m->order_cap * 2, MIN_BUCKETS);
		m->order = xrealloc(m->order,
		    m->order_cap * sizeof(*m->order));
		return;
	}
	/* Half of it are holes: close them instead. */
	for (i = 0; i < m->n_order; i++)
		if (m->order[i] != NULL) {
			m->order[n] = m->order[i];
			m->order[n]->pos = n;
			n++;
		}
	m->n_order = n;
	m->squeezes++;
	if (m->order_cap == 0) {
		m->order_cap = MIN_BUCKETS;
		m->order = xcalloc(m->order_cap, sizeof(*m->order));
	}
}

void *
map_get_n(const struct map *m, const void *key, size_t len)
{
	struct map_entry	*e = find(m, key, len, hash_key(key, len));

	return e == NULL ? NULL : e->value;
}

int
map_has_n(const struct map *m, const void *key, size_t len)
{
	return find(m, key, len, hash_key(key, len)) != NULL;
}

void *
map_put_n(struct map *m, const void *key, size_t len, void *value)
{
	uint64_t		 hash = hash_key(key, len);
	struct map_entry	*e = find(m, key, len, hash), **bucket;
	void			*old;

	if (e != NULL) {
		old = e->value;
		e->value = value;
		return old;
	}
	e = xmalloc(sizeof(*e) + len + 1);
	e->value = value;
	e->hash = hash;
	e->seq = m->next_seq++;
	e->key_len = len;
	if (len != 0)
		memcpy(e->key, key, len);
	e->key[len] = '\0';
	if (m->n >= m->n_buckets)
		grow(m);
	order_reserve(m);
	e->pos = m->n_order;
	m->order[m->n_order++] = e;
	m->n++;
	bucket = &m->buckets[hash & (m->n_buckets - 1)];
	e->chain = *bucket;
	*bucket = e;
	return NULL;
}

void *
map_del_n(struct map *m, const void *key, size_t len)
{
	struct map_entry	*e, **chain;
	void			*value;

	if ((e = find(m, key, len, hash_key(key, len))) == NULL)
		return NULL;
	chain = &m->buckets[e->hash & (m->n_buckets - 1)];
	while (*chain != e)
		chain = &(*chain)->chain;
	*chain = e->chain;
	m->order[e->pos] = NULL;
	m->n--;
	if (m->n == 0) {
		m->n_order = 0;
		m->squeezes++;
	}
	value = e->value;
	free(e);
	return value;
}

void *
map_get(const struct map *m, const char *key)
{
	return map_get_n(m, key, strlen(key));
}

int
map_has(const struct map *m, const char *key)
{
	return map_has_n(m, key, strlen(key));
}

void *
map_put(struct map *m, const char *key, void *value)
{
	return map_put_n(m, key, strlen(key), value);
}

void *
map_del(struct map *m, const char *key)
{
	return map_del_n(m, key, strlen(key));
}

void *
map_get_u64(const struct map *m, uint64_t key)
{
	return map_get_n(m, &key, sizeof(key));
}

void *
map_put_u64(struct map *m, uint64_t key, void *value)
{
	return map_put_n(m, &key, sizeof(key), value);
}

void *
map_del_u64(struct map *m, uint64_t key)
{
	return map_del_n(m, &key, sizeof(key));
}

uint64_t
map_iter_u64(const struct map_iter *it)
{
	uint64_t	 key;

	bug_unless(it->key_len == sizeof(key));
	memcpy(&key, it->key, sizeof(key));
	return key;
}

size_t
map_count(const struct map *m)
{
	return m->n;
}

void
map_free(struct map *m, void (*free_value)(void *))
{
	struct map_entry	*e;
	size_t			 i;

	for (i = 0; i < m->n_order; i++) {
		if ((e = m->order[i]) == NULL)
			continue;
		if (free_value != NULL)
			free_value(e->value);
		free(e);
	}
	free(m->order);
	free(m->buckets);
	memset(m, 0, sizeof(*m));
}

void
map_iter_start(const struct map *m, struct map_iter *it)
{
	memset(it, 0, sizeof(*it));
	it->map = m;
	it->squeezes = m->squeezes;
}

int
map_iter_next(struct map_iter *it)
{
	const struct map	*m = it->map;
	struct map_entry	*e;

	/* Places have changed: look for ours from the beginning. */
	if (it->squeezes != m->squeezes) {
		it->squeezes = m->squeezes;
		it->pos = 0;
	}
	for (; it->pos < m->n_order; it->pos++) {
		e = m->order[it->pos];
		if (e == NULL || e->seq < it->next_seq)
			continue;
		it->pos++;
		it->next_seq = e->seq + 1;
		it->key = e->key;
		it->key_len = e->key_len;
		it->value = e->value;
		return 1;
	}
	it->key = NULL;
	it->value = NULL;
	return 0;
}
