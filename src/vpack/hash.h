/*
 * hash.h - the hashes of VelocyPack values that ArangoDB's protocol shows:
 * document checksums, the shard of a document, revision trees.
 *
 * All are defined by their results: two clusters that disagree about one bit
 * of them put documents on different shards or find differences that are
 * none.
 */
#ifndef VPACK_HASH_H
#define VPACK_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VP_HASH_SEED	0xdeadbeefULL

/* XXH64. */
uint64_t vp_hash_bytes(const void *p, size_t len, uint64_t seed);
/* XXH64 over the VelocyPack string (with its head) of these bytes. */
uint64_t vp_hash_string(const char *s, size_t len, uint64_t seed);
/* XXH64 over the bytes of the slice. */
uint64_t vp_hash(const uint8_t *slice, uint64_t seed);
/*
 * A hash of what the value means: numbers of equal value (as double),
 * objects with other order or encoding hash alike.
 */
uint64_t vp_normalized_hash(const uint8_t *slice, uint64_t seed);

/* fasthash64 of Zilong Tan (public algorithm). */
uint64_t vp_fasthash64(const void *p, size_t len, uint64_t seed);
/* FNV-1a, 64 bits; VP_FNV_INIT begins, a former result goes on. */
#define VP_FNV_INIT	0xcbf29ce484222325ULL
uint64_t vp_fnv64(const void *p, size_t len, uint64_t h);

/*
 * What a document adds (by XOR) to the checksum of its collection.  doc must
 * be an object with _key; without a _key string it counts 0.
 */
uint64_t vp_document_checksum(const uint8_t *doc, bool with_revisions,
	    bool with_data);

/* What a revision adds (by XOR) to its bucket of a revision tree. */
uint64_t vp_revision_hash(uint64_t rev);

/*
 * Index of the shard (0..nshards-1 in numerical order of shard names) that
 * holds a document.  keys are shard keys as in the collection's definition
 * ("_key", "a"; "a:" takes what is before the first colon of the value, ":a"
 * what is behind the last; a dot is part of the name).  doc may be a string
 * slice (a key or an id) when the shard keys are only "_key" in one of its
 * forms.  missing (may be NULL) says whether an attribute was absent; that
 * counts as null.  Strategies: hash, community-compat.
 */
unsigned int vp_shard_of(const uint8_t *doc, const char *const *keys,
	    size_t nkeys, unsigned int nshards, bool *missing);
/* The same for a document of which only the _key is known. */
unsigned int vp_shard_of_key(const char *key, size_t klen,
	    const char *const *keys, size_t nkeys, unsigned int nshards);

#endif
