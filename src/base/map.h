/*
 * map.h - string (or bytes) -> pointer, and uint64 -> pointer, in the order
 * of insertion.
 *
 * Keys are copied, values are the caller's.  Entries keep the order in which
 * they were first put, so that output that is made from a map is stable.
 * Deleting (any key) and putting during an iteration is allowed: the
 * iteration shows each entry that is there when it comes to its place, new
 * ones included.  An iteration may be left at any time.
 *
 *	struct map	 m = MAP_INIT;
 *	struct map_iter	 it;
 *
 *	map_put(&m, "dbserver1", server);
 *	MAP_FOREACH(&m, it)
 *		printf("%s %p\n", it.key, it.value);
 *	map_free(&m, free);
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry;

struct map {
	struct map_entry	**buckets;	/* NULL while empty and new */
	size_t			 n_buckets;	/* a power of two */
	size_t			 n;		/* entries */
	struct map_entry	**order;	/* as put; NULL: deleted */
	size_t			 n_order, order_cap;
	uint64_t		 next_seq;	/* number of the next entry */
	unsigned		 squeezes;	/* times holes were closed */
};

/* One iteration; the fields behind value are private. */
struct map_iter {
	const char		*key;		/* with a NUL behind it; invalid
						 * when it is deleted */
	size_t			 key_len;
	void			*value;
	const struct map	*map;
	size_t			 pos;		/* in order */
	uint64_t		 next_seq;	/* shown: all below */
	unsigned		 squeezes;
};

#define MAP_INIT	{ NULL, 0, 0, NULL, 0, 0, 0, 0 }

/* NULL when the key is not there (a value may be NULL too: map_has()). */
void	*map_get(const struct map *m, const char *key);
int	map_has(const struct map *m, const char *key);
/* Returns the value that it replaces, NULL when the key is new. */
void	*map_put(struct map *m, const char *key, void *value);
/* Returns the removed value, NULL when the key is not there. */
void	*map_del(struct map *m, const char *key);

/* The same with keys of any bytes. */
void	*map_get_n(const struct map *m, const void *key, size_t len);
int	map_has_n(const struct map *m, const void *key, size_t len);
void	*map_put_n(struct map *m, const void *key, size_t len, void *value);
void	*map_del_n(struct map *m, const void *key, size_t len);

/* The same with numbers as keys (8 bytes each; do not mix with text). */
void	*map_get_u64(const struct map *m, uint64_t key);
void	*map_put_u64(struct map *m, uint64_t key, void *value);
void	*map_del_u64(struct map *m, uint64_t key);
/* The key of an entry put with map_put_u64(). */
uint64_t map_iter_u64(const struct map_iter *it);

size_t	map_count(const struct map *m);
/* Remove all entries; free_value may be NULL.  The map can be used again. */
void	map_free(struct map *m, void (*free_value)(void *));

void	map_iter_start(const struct map *m, struct map_iter *it);
/* 1 and key, value filled in, or 0 at the end. */
int	map_iter_next(struct map_iter *it);

#define MAP_FOREACH(m, it)						\
	for (map_iter_start((m), &(it)); map_iter_next(&(it)); )

#endif
