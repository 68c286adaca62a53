/*
 * test_hash.c - tests of the hashes that ArangoDB's protocol shows.
 *
 * Numbers marked "recorded" come from answers of arangod servers, those marked
 * "velocypack" from the tests of the velocypack library (public repository
 * arangodb/velocypack, tests/testsSlice.cpp).
 */
#include "util.h"
#include "vpack/hash.h"
#include "vpack/rev.h"

static uint64_t
hash(const char *json)
{
	return vp_hash(vp(json), VP_HASH_SEED);
}

static uint64_t
norm(const char *json)
{
	return vp_normalized_hash(vp(json), VP_HASH_SEED);
}

/* velocypack */
static void
test_bytes(void)
{
	CU_ASSERT_EQUAL(hash("null"), 1903446559881298698ULL);
	CU_ASSERT_EQUAL(hash("-345354.35532352"), 4457948945193834531ULL);
	CU_ASSERT_EQUAL(hash("\"this is a test string\""),
	    9531555437566788706ULL);
	CU_ASSERT_EQUAL(hash("\"\""), 1450600894602296270ULL);
	CU_ASSERT_EQUAL(hash("\"123456\""), 14855108345558666872ULL);
	CU_ASSERT_EQUAL(vp_hash_string("123456", 6, VP_HASH_SEED),
	    14855108345558666872ULL);
	CU_ASSERT_EQUAL(hash("[1,2,3,4,5,6,7,8,9,10]"),
	    8308483934453544580ULL);
	CU_ASSERT_EQUAL(hash("{\"one\":1,\"two\":2,\"three\":3,\"four\":4,"
	    "\"five\":5,\"six\":6,\"seven\":7}"), 8873752126133306149ULL);
	CU_ASSERT_EQUAL(hash("{\"seven\":7,\"six\":6,\"five\":5,\"four\":4,"
	    "\"three\":3,\"two\":2,\"one\":1}"), 9972002797221051811ULL);
}

/* velocypack */
static void
test_normalized(void)
{
	CU_ASSERT_EQUAL(norm("null"), 1903446559881298698ULL);
	CU_ASSERT_EQUAL(norm("-345354.35532352"), 9737553273926297610ULL);
	CU_ASSERT_EQUAL(norm("\"this is a test string\""),
	    9531555437566788706ULL);
	CU_ASSERT_EQUAL(norm("[-1,0,1,2,3,42,-42,123456,-123456]"),
	    13690116699997059692ULL);
	CU_ASSERT_EQUAL(norm("[-1.0,0,1.0,2.0,3.0,42.0,-42.0,123456.0,"
	    "-123456.0]"), 13690116699997059692ULL);
	CU_ASSERT_EQUAL(norm("[1,2,3,4,5,6,7,8,9,10]"),
	    1025874842406722974ULL);
	CU_ASSERT_EQUAL(norm("[-4.0,1,2.0,-4345.0,4,5,6,7,8,9,10,"
	    "[1,9,-42,45.0]]"), 11101500731480543049ULL);
	CU_ASSERT_EQUAL(norm("{\"one\":1,\"two\":2,\"three\":3,\"four\":4,"
	    "\"five\":5,\"six\":6,\"seven\":7}"), 724735390467908482ULL);
	CU_ASSERT_EQUAL(norm("{\"seven\":7,\"six\":6,\"five\":5,\"four\":4,"
	    "\"three\":3,\"two\":2,\"one\":1}"), 724735390467908482ULL);
}

/* Long strings have another head; against the hash of the whole slice. */
static void
test_string_forms(void)
{
	char		 text[1000], json_text[1100];
	const uint8_t	*s;
	size_t		 n;

	memset(text, 'a', sizeof(text));
	for (n = 0; n < sizeof(text); n += 13) {
		snprintf(json_text, sizeof(json_text), "\"%.*s\"", (int)n,
		    text);
		s = vp(json_text);
		CU_ASSERT_EQUAL(vp_hash_string(text, n, 7), vp_hash(s, 7));
		CU_ASSERT_EQUAL(vp_normalized_hash(s, 7), vp_hash(s, 7));
	}
}

/* Against two values of the reference implementation's algorithm. */
static void
test_fasthash_no_outside_vector_but_the_checksum(void)
{
	/* the empty input is mix(seed): independent of the loop */
	CU_ASSERT_EQUAL(vp_fasthash64("", 0, 0), 0);
	CU_ASSERT_NOT_EQUAL(vp_fasthash64("a", 1, 0), vp_fasthash64("b", 1, 0));
	CU_ASSERT_NOT_EQUAL(vp_fasthash64("abcdefgh", 8, 0),
	    vp_fasthash64("abcdefgh", 7, 0));
}

/* recorded */
static void
test_checksum(void)
{
	CU_ASSERT_EQUAL(vp_hash_string("66856", 5, VP_HASH_SEED),
	    4476610808012408640ULL);
	CU_ASSERT_EQUAL(vp_document_checksum(vp("{\"_key\":\"66856\","
	    "\"x\":1}"), false, false), 4476610808012408640ULL);
	CU_ASSERT_EQUAL(vp_document_checksum(vp("{\"_key\":\"66866\","
	    "\"_id\":\"products/66866\",\"_rev\":\"_fw2Ytzy--_\","
	    "\"foo\":\"bar\"}"), false, true), 1918151439481338531ULL);
	/* order of attributes and _id do not count, the rest does */
	CU_ASSERT_EQUAL(vp_document_checksum(vp("{\"foo\":\"bar\","
	    "\"_rev\":\"other\",\"_id\":\"c/66866\",\"_key\":\"66866\"}"),
	    false, true), 1918151439481338531ULL);
	CU_ASSERT_NOT_EQUAL(vp_document_checksum(vp("{\"_key\":\"66866\","
	    "\"_id\":\"products/66866\",\"_rev\":\"_fw2Ytzy--_\","
	    "\"foo\":\"baz\"}"), false, true), 1918151439481338531ULL);
	CU_ASSERT_EQUAL(vp_document_checksum(vp("{\"a\":1}"), false, true),
	    0);
}

static void
test_checksum_with_revisions_no_outside_vector(void)
{
	const uint8_t	*s = vp("{\"_key\":\"66856\",\"_rev\":\"_x\"}");

	CU_ASSERT_EQUAL(vp_document_checksum(s, true, false),
	    4476610808012408640ULL + vp_hash_string("_x", 2, VP_HASH_SEED));
}

/* From the protocol reference, 8.4. */
static void
test_revisions(void)
{
	uint64_t	 a, b;

	a = vp_revision_hash(rev_from_text("_fw2Ytzy--_", 11));
	b = vp_revision_hash(rev_from_text("_fBc08Ea---", 11));
	CU_ASSERT_EQUAL(a, 13611202611468744081ULL);
	CU_ASSERT_EQUAL(b, 14783294710007631430ULL);
	CU_ASSERT_EQUAL(a ^ b, 8200039652537416663ULL);
	CU_ASSERT_EQUAL(vp_fnv64("a", 1, VP_FNV_INIT), 0xaf63dc4c8601ec8cULL);
}

/*
 * There is no outside vector for the whole way to a shard; the parts (hash and
 * FNV) have theirs above, and the way is written out here a second time.
 */
static unsigned int
shard_again(const char *json_text, unsigned int n)
{
	static const char	 phrase[] =
	    "Foxx you have stolen the goose, give she back again!";
	uint64_t		 h = VP_FNV_INIT;

	CU_ASSERT_EQUAL(strlen(phrase), 52);
	h = vp_normalized_hash(vp(json_text), h);
	return (unsigned int)(vp_fnv64(phrase, 52, h) % n);
}

static void
test_shards_no_outside_vector(void)
{
	static const char *const by_key[] = { "_key" };
	static const char *const by_front[] = { "_key:" };
	static const char *const by_back[] = { ":_key" };
	static const char *const by_two[] = { "a", "b" };
	const uint8_t	*doc = vp("{\"_key\":\"eu:x:1\",\"a\":1.0,\"c\":2}");
	bool		 missing;

	CU_ASSERT_EQUAL(vp_shard_of(doc, by_key, 1, 97, &missing),
	    shard_again("\"eu:x:1\"", 97));
	CU_ASSERT_FALSE(missing);
	CU_ASSERT_EQUAL(vp_shard_of_key("eu:x:1", 6, by_key, 1, 97),
	    shard_again("\"eu:x:1\"", 97));
	CU_ASSERT_EQUAL(vp_shard_of(vp("\"eu:x:1\""), by_key, 1, 97, NULL),
	    shard_again("\"eu:x:1\"", 97));
	CU_ASSERT_EQUAL(vp_shard_of(vp("\"coll/eu:x:1\""), by_key, 1, 97,
	    NULL), shard_again("\"eu:x:1\"", 97));
	CU_ASSERT_EQUAL(vp_shard_of(doc, by_front, 1, 97, NULL),
	    shard_again("\"eu\"", 97));
	CU_ASSERT_EQUAL(vp_shard_of(doc, by_back, 1, 97, NULL),
	    shard_again("\"1\"", 97));
	/* numbers by value */
	CU_ASSERT_EQUAL(vp_shard_of(doc, by_two, 1, 97, NULL),
	    shard_again("1", 97));
	/* absent is null */
	CU_ASSERT_EQUAL(vp_shard_of(doc, by_two, 2, 97, &missing),
	    vp_shard_of(vp("{\"a\":1,\"b\":null}"), by_two, 2, 97, NULL));
	CU_ASSERT_TRUE(missing);
	CU_ASSERT_EQUAL(vp_shard_of_key("x", 1, by_two, 2, 97),
	    vp_shard_of(vp("{}"), by_two, 2, 97, NULL));
}

static void
test_shards_spread(void)
{
	static const char *const by_key[] = { "_key" };
	unsigned int	 count[9] = { 0 }, i;
	char		 key[16];

	for (i = 0; i < 9000; i++) {
		snprintf(key, sizeof(key), "%u", i);
		count[vp_shard_of_key(key, strlen(key), by_key, 1, 9)]++;
	}
	for (i = 0; i < 9; i++)
		CU_ASSERT_TRUE(count[i] > 850 && count[i] < 1150);
}

UNIT_MAIN("vpack-hash",
    { "hashes of bytes are velocypack's", test_bytes },
    { "normalized hashes are velocypack's", test_normalized },
    { "hashes of strings do not depend on how they are given",
      test_string_forms },
    { "fasthash64 (no outside vector but the recorded checksum)",
      test_fasthash_no_outside_vector_but_the_checksum },
    { "document checksums as recorded", test_checksum },
    { "checksums with revisions (no outside vector)",
      test_checksum_with_revisions_no_outside_vector },
    { "hashes of revisions", test_revisions },
    { "shard of a document (no outside vector for the whole)",
      test_shards_no_outside_vector },
    { "shards get equal parts", test_shards_spread })
