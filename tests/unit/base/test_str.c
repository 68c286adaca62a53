/* test_str.c - tests of base/str, base/clock, base/crc32c and base/random */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/random.h"
#include "base/str.h"
#include "unit.h"

static void
test_u64(void)
{
	static const char *const	 bad[] = {
		"", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0", "\xd9\xa1"
	};
	uint64_t			 n = 77;
	size_t				 i;

	CU_ASSERT_EQUAL(str_to_u64("0", &n), 0);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(str_to_u64("18446744073709551615", &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_MAX);
	CU_ASSERT_EQUAL(str_to_u64("00000000000000000000000012", &n), 0);
	CU_ASSERT_EQUAL(n, 12);
	CU_ASSERT_EQUAL(str_to_u64("18446744073709551616", &n), ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_u64("99999999999999999999", &n), ERR_RANGE);
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_EQUAL(str_to_u64(bad[i], &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(n, 12);		/* untouched by failures */
	CU_ASSERT_EQUAL(str_to_u64_n("123456", 3, &n), 0);
	CU_ASSERT_EQUAL(n, 123);
}

static void
test_i64(void)
{
	int64_t	 n = 0;

	CU_ASSERT_EQUAL(str_to_i64("-9223372036854775808", &n), 0);
	CU_ASSERT_EQUAL(n, INT64_MIN);
	CU_ASSERT_EQUAL(str_to_i64("9223372036854775807", &n), 0);
	CU_ASSERT_EQUAL(n, INT64_MAX);
	CU_ASSERT_EQUAL(str_to_i64("-12", &n), 0);
	CU_ASSERT_EQUAL(n, -12);
	CU_ASSERT_EQUAL(str_to_i64("9223372036854775808", &n), ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_i64("-9223372036854775809", &n), ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_i64("-", &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(str_to_i64("--1", &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(str_to_i64("+1", &n), ERR_FORMAT);
}

static void
test_hex(void)
{
	uint64_t	 n = 0;

	CU_ASSERT_EQUAL(str_hex_to_u64("dEadbeef01", &n), 0);
	CU_ASSERT_EQUAL(n, 0xdeadbeef01);
	CU_ASSERT_EQUAL(str_hex_to_u64("ffffffffffffffff", &n), 0);
	CU_ASSERT_EQUAL(n, UINT64_MAX);
	CU_ASSERT_EQUAL(str_hex_to_u64("10000000000000000", &n), ERR_RANGE);
	CU_ASSERT_EQUAL(str_hex_to_u64("", &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(str_hex_to_u64("0x1", &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(str_hex_to_u64("g", &n), ERR_FORMAT);
}

/* Values as Go's time.ParseDuration documents and tests them. */
static void
test_duration(void)
{
	static const struct {
		const char	*text;
		int64_t		 ns;
	} good[] = {
		{ "0", 0 }, { "5s", 5000000000 }, { "30s", 30000000000 },
		{ "1478s", 1478000000000 }, { "-5s", -5000000000 },
		{ "+5s", 5000000000 }, { "-0", 0 }, { "5.0s", 5000000000 },
		{ "5.6s", 5600000000 }, { "5.s", 5000000000 },
		{ ".5s", 500000000 }, { "1.0040s", 1004000000 },
		{ "100.00100s", 100001000000 }, { "10ns", 10 },
		{ "11us", 11000 }, { "12\302\265s", 12000 },
		{ "12\316\274s", 12000 }, { "13ms", 13000000 },
		{ "14s", 14000000000 }, { "15m", 900000000000 },
		{ "16h", 57600000000000 }, { "3h30m", 12600000000000 },
		{ "10.5s4m", 250500000000 },
		{ "-2m3.4s", -123400000000 },
		{ "39h9m14.425s", 140954425000000 },
		{ "52763797000ns", 52763797000 },
		{ "0.3333333333333333333h", 1200000000000 },
		{ "0.100000000000000000000h", 360000000000 },
		{ "9223372036854775807ns", INT64_MAX }
	};
	static const char *const	 bad[] = {
		"", "3", "-", "s", ".", "-.", ".s", "+.s", "1h ", " 1h",
		"1x", "1d", "3000000h1", "1S", "1hm"
	};
	int64_t				 ns, ms;
	size_t				 i;

	for (i = 0; i < NITEMS(good); i++) {
		ns = 1;
		CU_ASSERT_EQUAL(str_to_duration_ns(good[i].text, &ns), 0);
		CU_ASSERT_EQUAL(ns, good[i].ns);
	}
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_TRUE(str_to_duration_ns(bad[i], &ns) < 0);
	CU_ASSERT_EQUAL(str_to_duration_ns("9223372036854775808ns", &ns),
	    ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_duration_ns("3000000h", &ns), ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_duration_ns("9223372036854775807ns1ns", &ns),
	    ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_duration_ms("1.5s", &ms), 0);
	CU_ASSERT_EQUAL(ms, 1500);
	/* Never shorter than asked for; least of all 0. */
	CU_ASSERT_EQUAL(str_to_duration_ms("1us", &ms), 0);
	CU_ASSERT_EQUAL(ms, 1);
}

static void
test_format_duration(void)
{
	static const struct {
		int64_t		 ns;
		const char	*text;
	} t[] = {
		{ 0, "0s" }, { 1, "1ns" }, { 1100, "1.1\302\265s" },
		{ 2200000, "2.2ms" }, { 3300000000, "3.3s" },
		{ 245000000000, "4m5s" }, { 245001000000, "4m5.001s" },
		{ 18367001000000, "5h6m7.001s" },
		{ 480000000001, "8m0.000000001s" },
		{ 5400000000000, "1h30m0s" }, { -2000000, "-2ms" },
		{ INT64_MAX, "2562047h47m16.854775807s" },
		{ INT64_MIN, "-2562047h47m16.854775808s" }
	};
	char	 text[STR_NUMBER_SIZE];
	size_t	 i;

	for (i = 0; i < NITEMS(t); i++)
		CU_ASSERT_STRING_EQUAL(str_format_duration_ns(t[i].ns, text),
		    t[i].text);
}

static void
test_bytes(void)
{
	static const struct {
		const char	*text;
		uint64_t	 bytes;
	} good[] = {
		{ "0", 0 }, { "4096", 4096 }, { "7B", 7 },
		{ "64KiB", 65536 }, { "64k", 65536 }, { "1.5GiB", 1610612736 },
		{ "10MB", 10000000 }, { "10mb", 10000000 },
		{ "10M", 10485760 }, { "32gib", UINT64_C(34359738368) },
		{ "2T", UINT64_C(2199023255552) },
		{ "1PB", UINT64_C(1000000000000000) },
		{ "16383PiB", UINT64_C(16383) << 50 }
	};
	static const char *const	 bad[] = {
		"", "-1", "KiB", "1 KiB", "1KiBs", "1x", "1kk", "1BB", "+1"
	};
	char				 text[STR_NUMBER_SIZE];
	uint64_t			 n = 0;
	size_t				 i;

	for (i = 0; i < NITEMS(good); i++) {
		CU_ASSERT_EQUAL(str_to_bytes(good[i].text, &n), 0);
		CU_ASSERT_EQUAL(n, good[i].bytes);
	}
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_EQUAL(str_to_bytes(bad[i], &n), ERR_FORMAT);
	CU_ASSERT_EQUAL(str_to_bytes("16384PiB", &n), ERR_RANGE);
	CU_ASSERT_EQUAL(str_to_bytes("99999999999999999999", &n), ERR_RANGE);
	CU_ASSERT_STRING_EQUAL(str_format_bytes(0, text), "0");
	CU_ASSERT_STRING_EQUAL(str_format_bytes(1500, text), "1500");
	CU_ASSERT_STRING_EQUAL(str_format_bytes(34359738368, text), "32GiB");
	CU_ASSERT_STRING_EQUAL(str_format_bytes(1536 * 1024, text),
	    "1536KiB");
}

static void
test_text(void)
{
	char	 small[5];

	CU_ASSERT_TRUE(str_starts_with("dbserver1", "dbserver"));
	CU_ASSERT_FALSE(str_starts_with("db", "dbserver"));
	CU_ASSERT_TRUE(str_ends_with("a.tmp", ".tmp"));
	CU_ASSERT_FALSE(str_ends_with("tmp", ".tmp"));
	CU_ASSERT_EQUAL(str_copy(small, sizeof(small), "abcd"), 0);
	CU_ASSERT_EQUAL(str_copy(small, sizeof(small), "abcde"), ERR_TOO_BIG);
	CU_ASSERT_STRING_EQUAL(small, "abcd");
	CU_ASSERT_TRUE(str_equal_const_time("abc", "abd", 2));
	CU_ASSERT_FALSE(str_equal_const_time("abc", "abd", 3));
	CU_ASSERT_EQUAL(str_distance("dbserver", "dbservers", 5), 1);
	CU_ASSERT_EQUAL(str_distance("kitten", "sitting", 5), 3);
	CU_ASSERT_EQUAL(str_distance("", "abc", 5), 3);
	CU_ASSERT_EQUAL(str_distance("abcdef", "uvwxyz", 3), 4);
	CU_ASSERT_EQUAL(str_distance("a", "abcdefgh", 3), 4);
}

/* --- clock --------------------------------------------------------------- */

static void
test_clock(void)
{
	uint64_t	 a = clock_mono_us(), b;
	char		 text[CLOCK_TEXT_SIZE];

	usleep(2000);
	b = clock_mono_us();
	CU_ASSERT_TRUE(b - a >= 2000 && b - a < 10000000);
	CU_ASSERT_TRUE(clock_mono_ms() >= b / 1000);
	CU_ASSERT_TRUE(clock_wall_us() / 1000 <= clock_wall_ms());
	CU_ASSERT_STRING_EQUAL(clock_format_s(0, text),
	    "1970-01-01T00:00:00Z");
	CU_ASSERT_STRING_EQUAL(clock_format_ms(1709251199123456, text),
	    "2024-02-29T23:59:59.123Z");
	CU_ASSERT_STRING_EQUAL(clock_format_us(1709251199000007, text),
	    "2024-02-29T23:59:59.000007Z");
	CU_ASSERT_STRING_EQUAL(clock_format_s(UINT64_MAX, text),
	    "9999-12-31T23:59:59Z");
}

static void
test_clock_parse(void)
{
	static const char *const	 bad[] = {
		"", "2024-02-29", "2024-02-30T00:00:00Z",
		"2023-02-29T00:00:00Z", "2024-13-01T00:00:00Z",
		"2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
		"2024-01-01T00:00:00", "2024-01-01T00:00:00.Z",
		"2024-01-01T00:00:00Zx", "2024-01-01T00:00:00+1:00",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01",
		"2024-1-01T00:00:00Z", "-024-01-01T00:00:00Z"
	};
	uint64_t			 us = 0;
	size_t				 i;

	CU_ASSERT_EQUAL(clock_parse("2024-02-29T23:59:59.123456789Z", &us),
	    0);
	CU_ASSERT_EQUAL(us, 1709251199123456);
	CU_ASSERT_EQUAL(clock_parse("2024-03-01T01:29:59.5+01:30", &us), 0);
	CU_ASSERT_EQUAL(us, 1709251199500000);
	CU_ASSERT_EQUAL(clock_parse("2024-02-29T22:59:59-01:00", &us), 0);
	CU_ASSERT_EQUAL(us, 1709251199000000);
	for (i = 0; i < NITEMS(bad); i++)
		CU_ASSERT_EQUAL(clock_parse(bad[i], &us), ERR_FORMAT);
	CU_ASSERT_EQUAL(us, 1709251199000000);
}

/* --- checksum ------------------------------------------------------------ */

/* RFC 3720, appendix B.4, and the check value of the catalogue. */
static void
test_crc32c_vectors(void)
{
	static const uint8_t	 read10[48] = {
		0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14,
		0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0,
		0x02, 0, 0, 0, 0, 0, 0, 0
	};
	uint32_t		 (*fn[2])(uint32_t, const void *, size_t);
	uint8_t			 b[32];
	size_t			 i, k;

	fn[0] = crc32c;
	fn[1] = crc32c_table;
	for (i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fn[i](0, "123456789", 9), 0xe3069283);
		CU_ASSERT_EQUAL(fn[i](0, "", 0), 0);
		memset(b, 0, 32);
		CU_ASSERT_EQUAL(fn[i](0, b, 32), 0x8a9136aa);
		memset(b, 0xff, 32);
		CU_ASSERT_EQUAL(fn[i](0, b, 32), 0x62a8ab43);
		for (k = 0; k < 32; k++)
			b[k] = (uint8_t)k;
		CU_ASSERT_EQUAL(fn[i](0, b, 32), 0x46dd794e);
		for (k = 0; k < 32; k++)
			b[k] = (uint8_t)(31 - k);
		CU_ASSERT_EQUAL(fn[i](0, b, 32), 0x113fdb5c);
		CU_ASSERT_EQUAL(fn[i](0, read10, 48), 0xd9963a56);
	}
}

static void
test_crc32c_pieces(void)
{
	uint8_t		 b[1000];
	static uint8_t	 lanes[10000 + 9];
	uint32_t	 whole;
	size_t		 i, cut;

	for (i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(i * 7 + i / 256);
	whole = crc32c(0, b, sizeof(b));
	CU_ASSERT_EQUAL(crc32c_table(0, b, sizeof(b)), whole);
	for (cut = 0; cut <= 64; cut++)
		CU_ASSERT_EQUAL(crc32c(crc32c(0, b, cut), b + cut,
		    sizeof(b) - cut), whole);
	b[500] ^= 1;
	CU_ASSERT_NOT_EQUAL(crc32c(0, b, sizeof(b)), whole);
	for (i = 0; i < sizeof(lanes); i++)
		lanes[i] = (uint8_t)(i * i * 13 + i / 7);
	for (i = 0; i < sizeof(lanes) - 9; i += 97)
		CU_ASSERT_EQUAL(crc32c((uint32_t)i, lanes + i % 9,
		    sizeof(lanes) - 9 - i), crc32c_table((uint32_t)i,
		    lanes + i % 9, sizeof(lanes) - 9 - i));
}

/* --- random -------------------------------------------------------------- */

static void
test_random_below(void)
{
	unsigned	 seen[7] = { 0 };
	uint64_t	 n;
	int		 i, bad = 0;

	for (i = 0; i < 70000; i++) {
		n = rand_below(7);
		if (n >= 7)
			bad++;
		else
			seen[n]++;
	}
	CU_ASSERT_EQUAL(bad, 0);
	for (i = 0; i < 7; i++)		/* 10000 on average, sigma 93 */
		CU_ASSERT_TRUE(seen[i] > 9000 && seen[i] < 11000);
	CU_ASSERT_EQUAL(rand_below(0), 0);
	CU_ASSERT_EQUAL(rand_below(1), 0);
	/* The high half must be reached as often as the low one. */
	for (i = n = 0; i < 1000; i++)
		n += rand_below(UINT64_MAX) > UINT64_MAX / 2;
	CU_ASSERT_TRUE(n > 350 && n < 650);
}

static void
test_random_seed(void)
{
	/* xoshiro256** seeded by splitmix64(42): computed with the authors'
	 * reference code. */
	uint64_t	 a, b;

	rand_seed(42);
	a = rand_u64();
	b = rand_u64();
	CU_ASSERT_EQUAL(a, UINT64_C(0x15780b2e0c2ec716));
	CU_ASSERT_NOT_EQUAL(a, b);
	rand_seed(42);
	CU_ASSERT_EQUAL(rand_u64(), a);
	CU_ASSERT_EQUAL(rand_u64(), b);
	rand_seed(43);
	CU_ASSERT_NOT_EQUAL(rand_u64(), a);
}

static void
test_random_hex(void)
{
	char	 text[42];

	text[41] = '!';
	rand_hex(text, 40);
	CU_ASSERT_EQUAL(strlen(text), 40);
	CU_ASSERT_EQUAL(strspn(text, "0123456789abcdef"), 40);
	CU_ASSERT_EQUAL(text[41], '!');
	rand_hex(text, 0);
	CU_ASSERT_EQUAL(text[0], '\0');
}

/* Children that were forked from one parent must not make equal names. */
static void
test_random_fork(void)
{
	uint64_t	 from_child[2] = { 0, 0 };
	int		 i, fds[2], status;
	pid_t		 pid;

	rand_seed(1);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	for (i = 0; i < 2; i++) {
		if ((pid = fork()) == 0) {
			uint64_t	 n = rand_u64();

			_exit(write(fds[1], &n, 8) == 8 ? 0 : 1);
		}
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT_EQUAL(read(fds[0], &from_child[i], 8), 8);
	}
	CU_ASSERT_NOT_EQUAL(from_child[0], from_child[1]);
	close(fds[0]);
	close(fds[1]);
}

static void
test_random_secret(void)
{
	uint8_t	 a[600], b[600];

	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	rand_secret(a, sizeof(a));
	rand_secret(b, sizeof(b));
	CU_ASSERT_NOT_EQUAL(memcmp(a, b, sizeof(a)), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a + 300, a, 300), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(a + 568, b + 568, 32), 0);
}

UNIT_MAIN("str",
    { "unsigned numbers are strict", test_u64 },
    { "signed numbers are strict", test_i64 },
    { "hex numbers are strict", test_hex },
    { "durations are those of Go", test_duration },
    { "durations print as Go prints them", test_format_duration },
    { "sizes know binary and decimal units", test_bytes },
    { "prefixes, copies, distances", test_text },
    { "clocks run and print", test_clock },
    { "time text is parsed strictly", test_clock_parse },
    { "crc32c matches the published vectors", test_crc32c_vectors },
    { "crc32c of pieces is that of the whole", test_crc32c_pieces },
    { "random numbers below n are even", test_random_below },
    { "a seed repeats the numbers", test_random_seed },
    { "random hex has the length asked for", test_random_hex },
    { "forked children differ", test_random_fork },
    { "secrets are filled to the end", test_random_secret })
