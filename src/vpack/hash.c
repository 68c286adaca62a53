/* hash.c - hashes that ArangoDB's protocol shows; see hash.h */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "vpack/hash.h"
#include "vpack/vpack.h"
#include "vpack/vpack_priv.h"

uint64_t
vp_hash_bytes(const void *p, size_t len, uint64_t seed)
{
	return XXH64(p, len, seed);
}

uint64_t
vp_hash_string(const char *s, size_t len, uint64_t seed)
{
	uint8_t		 few[512], *text = few;
	size_t		 head = len <= 126 ? 1 : 9;
	uint64_t	 h;

	if (len > sizeof(few) - 9)
		text = xmalloc(len + 9);
	text[0] = head == 1 ? (uint8_t)(0x40 + len) : 0xbf;
	if (head == 9)
		vp_write(text + 1, len, 8);
	memcpy(text + head, s, len);
	h = XXH64(text, head + len, seed);
	if (text != few)
		free(text);
	return h;
}

uint64_t
vp_hash(const uint8_t *slice, uint64_t seed)
{
	return XXH64(slice, vp_size(slice), seed);
}

/*
 * velocypack's Slice::normalizedHash, unchanged since 2016.  The constants are
 * not mistyped here: arrays and objects have different ones, and object names
 * enter twice, as hash and as seed of their value.
 */
uint64_t
vp_normalized_hash(const uint8_t *slice, uint64_t seed)
{
	struct vp_iter	 it;
	struct vp_attr	 a;
	const uint8_t	*m;
	uint64_t	 n, h, base, name;
	double		 d;

	if (vp_is_number(slice)) {
		vp_get_double(slice, &d);
		return XXH64(&d, sizeof(d), seed);
	}
	if (vp_is_array(slice)) {
		n = vp_length(slice) ^ 0xba5bedf00dULL;
		h = XXH64(&n, sizeof(n), seed);
		vp_arr_iter(&it, slice);
		while ((m = vp_arr_next(&it)) != NULL)
			h ^= vp_normalized_hash(m, h);
		return h;
	}
	if (vp_is_object(slice)) {
		n = vp_length(slice) ^ 0xf00ba44ba5ULL;
		base = XXH64(&n, sizeof(n), seed);
		h = base;
		vp_obj_iter(&it, slice);
		while (vp_obj_next(&it, &a)) {
			name = vp_hash_string(a.name, a.nlen, base);
			h ^= name;
			h ^= vp_normalized_hash(a.value, name);
		}
		return h;
	}
	return vp_hash(slice, seed);
}

static inline uint64_t
fasthash_mix(uint64_t h)
{
	h ^= h >> 23;
	h *= 0x2127599bf4325c37ULL;
	return h ^ h >> 47;
}

uint64_t
vp_fasthash64(const void *p, size_t len, uint64_t seed)
{
	const uint64_t	 m = 0x880355f21e6d1965ULL;
	const uint8_t	*s = p;
	uint64_t	 h = seed ^ (len * m);

	for (; len >= 8; len -= 8, s += 8) {
		h ^= fasthash_mix(vp_read(s, 8));
		h *= m;
	}
	if (len > 0) {
		h ^= fasthash_mix(vp_read(s, len));
		h *= m;
	}
	return fasthash_mix(h);
}

uint64_t
vp_fnv64(const void *p, size_t len, uint64_t h)
{
	const uint8_t	*s = p;
	size_t		 i;

	for (i = 0; i < len; i++)
		h = (h ^ s[i]) * 0x100000001b3ULL;
	return h;
}

/* _id differs between collections; _key and _rev are counted apart. */
static bool
is_own_attribute(const struct vp_attr *a)
{
	if (a->nlen == 3)
		return memcmp(a->name, "_id", 3) == 0;
	return a->nlen == 4 && (memcmp(a->name, "_key", 4) == 0 ||
	    memcmp(a->name, "_rev", 4) == 0);
}

/* arangod/VocBase/Methods/Collections.cpp, checksum() */
uint64_t
vp_document_checksum(const uint8_t *doc, bool with_revisions, bool with_data)
{
	const uint8_t	*key, *rev;
	struct vp_iter	 it;
	struct vp_attr	 a;
	uint64_t	 h, n, seed;

	key = vp_get(doc, "_key");
	if (key == NULL || !vp_is_string(key))
		return 0;
	h = vp_hash(key, VP_HASH_SEED);
	if (with_revisions && (rev = vp_get(doc, "_rev")) != NULL)
		h += vp_hash(rev, VP_HASH_SEED);
	if (!with_data)
		return h;
	n = vp_length(doc) ^ 0xf00ba44ba5ULL;
	seed = vp_fasthash64(&n, sizeof(n), 0xdeadf054);
	vp_obj_iter(&it, doc);
	while (vp_obj_next(&it, &a)) {
		if (is_own_attribute(&a))
			continue;
		h ^= vp_hash_string(a.name, a.nlen, seed) ^ 0xba5befd00dULL;
		h += vp_normalized_hash(a.value, seed) ^ 0xd4129f526421ULL;
	}
	return h;
}

uint64_t
vp_revision_hash(uint64_t rev)
{
	uint8_t		 le[8];

	vp_write(le, rev, 8);
	return vp_fnv64(le, 8, VP_FNV_INIT);
}

/* ---- shards ------------------------------------------------------------- */

enum part { PART_ALL, PART_FRONT, PART_BACK };

static enum part
shard_key_part(const char **name, size_t *len)
{
	*len = strlen(*name);
	if (*len > 0 && (*name)[*len - 1] == ':') {
		--*len;
		return PART_FRONT;
	}
	if (*len > 0 && (*name)[0] == ':') {
		++*name;
		--*len;
		return PART_BACK;
	}
	return PART_ALL;
}

/*
 * The part of a string that counts: before the first colon or behind the last
 * one; without a colon all of it.
 */
static void
shard_key_cut(enum part part, const char **s, size_t *len)
{
	const char	*colon;

	if (part == PART_FRONT) {
		colon = memchr(*s, ':', *len);
		if (colon != NULL)
			*len = (size_t)(colon - *s);
	} else if (part == PART_BACK) {
		colon = memrchr(*s, ':', *len);
		if (colon != NULL) {
			*len -= (size_t)(colon + 1 - *s);
			*s = colon + 1;
		}
	}
}

/* Behind the slash, if there is one: an _id is as good as its _key. */
static void
shard_key_of_id(const char **s, size_t *len)
{
	const char	*slash = memchr(*s, '/', *len);

	if (slash != NULL) {
		*len -= (size_t)(slash + 1 - *s);
		*s = slash + 1;
	}
}

static unsigned int
shard_index(uint64_t h, unsigned int nshards)
{
	static const char phrase[] =
	    "Foxx you have stolen the goose, give she back again!";

	return (unsigned int)(vp_fnv64(phrase, sizeof(phrase) - 1, h) %
	    nshards);
}

unsigned int
vp_shard_of(const uint8_t *doc, const char *const *keys, size_t nkeys,
    unsigned int nshards, bool *missing)
{
	const uint8_t	*v;
	const char	*name, *s;
	size_t		 i, nlen, len;
	enum part	 part;
	uint64_t	 h = VP_FNV_INIT;

	if (missing != NULL)
		*missing = false;
	for (i = 0; i < nkeys; i++) {
		name = keys[i];
		part = shard_key_part(&name, &nlen);
		if (vp_is_string(doc))
			v = nlen == 4 && memcmp(name, "_key", 4) == 0 ?
			    doc : NULL;
		else
			v = vp_obj_get(doc, name, nlen);
		if (v == NULL) {
			if (missing != NULL)
				*missing = true;
			v = vp_null;
		}
		if ((s = vp_get_string(v, &len)) != NULL) {
			if (v == doc)
				shard_key_of_id(&s, &len);
			shard_key_cut(part, &s, &len);
			h = vp_hash_string(s, len, h);
		} else
			h = vp_normalized_hash(v, h);
	}
	return shard_index(h, nshards);
}

unsigned int
vp_shard_of_key(const char *key, size_t klen, const char *const *keys,
    size_t nkeys, unsigned int nshards)
{
	const char	*name, *s;
	size_t		 i, nlen, len;
	enum part	 part;
	uint64_t	 h = VP_FNV_INIT;

	for (i = 0; i < nkeys; i++) {
		name = keys[i];
		part = shard_key_part(&name, &nlen);
		if (nlen == 4 && memcmp(name, "_key", 4) == 0) {
			s = key;
			len = klen;
			shard_key_cut(part, &s, &len);
			h = vp_hash_string(s, len, h);
		} else
			h = vp_normalized_hash(vp_null, h);
	}
	return shard_index(h, nshards);
}
