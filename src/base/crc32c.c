/* crc32c.c - Castagnoli checksum: slicing by eight, or the instruction */
#include <string.h>

#include "base/crc32c.h"

#define POLYNOMIAL	0x82f63b78u	/* reflected */

static uint32_t	table[8][256];
static int	table_ready;

static void
make_table(void)
{
	uint32_t	 c;
	int		 i, k;

	for (i = 0; i < 256; i++) {
		c = (uint32_t)i;
		for (k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ POLYNOMIAL : c >> 1;
		table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (k = 1; k < 8; k++)
			table[k][i] = table[k - 1][i] >> 8 ^
			    table[0][table[k - 1][i] & 255];
	table_ready = 1;
}

uint32_t
crc32c_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t	*p = data;

	if (!table_ready)
		make_table();
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		    (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		crc = table[7][crc & 255] ^ table[6][crc >> 8 & 255] ^
		    table[5][crc >> 16 & 255] ^ table[4][crc >> 24] ^
		    table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		    table[0][p[7]];
	}
	for (; len > 0; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 255];
	return ~crc;
}

#if defined(__x86_64__)
/*
 * The instruction takes three cycles and one can begin in each: a long text is
 * done in three lanes, and what the first ones gave is moved behind the others
 * as if zeros had followed.
 */
#define LANE_BYTES	512

static uint32_t	skip_table[4][256];

/* A checksum moves over zeros bit by bit: the sum of what its bits become. */
__attribute__((target("sse4.2")))
static void
make_skip_table(void)
{
	uint64_t	 bits[32];
	int		 i, k, n;

	for (i = 0; i < 32; i++) {
		bits[i] = 1u << i;
		for (n = 0; n < LANE_BYTES; n += 8)
			bits[i] = __builtin_ia32_crc32di(bits[i], 0);
	}
	for (k = 0; k < 4; k++)
		for (n = 0; n < 256; n++)
			for (i = 0; i < 8; i++)
				if (n >> i & 1)
					skip_table[k][n] ^=
					    (uint32_t)bits[8 * k + i];
}

static inline uint32_t
skip_lane(uint32_t c)
{
	return skip_table[0][c & 255] ^ skip_table[1][c >> 8 & 255] ^
	    skip_table[2][c >> 16 & 255] ^ skip_table[3][c >> 24];
}

static inline uint64_t
load64(const uint8_t *p)
{
	uint64_t	 word;

	memcpy(&word, p, 8);
	return word;
}

__attribute__((target("sse4.2")))
static uint32_t
crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t	*p = data;
	uint64_t	 c = (uint32_t)~crc, c2, c3;
	int		 i;

	for (; len >= 3 * LANE_BYTES; len -= 3 * LANE_BYTES) {
		c2 = c3 = 0;
		for (i = 0; i < LANE_BYTES; i += 8, p += 8) {
			c = __builtin_ia32_crc32di(c, load64(p));
			c2 = __builtin_ia32_crc32di(c2,
			    load64(p + LANE_BYTES));
			c3 = __builtin_ia32_crc32di(c3,
			    load64(p + 2 * LANE_BYTES));
		}
		c = skip_lane(skip_lane((uint32_t)c) ^ (uint32_t)c2) ^ c3;
		p += 2 * LANE_BYTES;
	}
	for (; len >= 8; len -= 8, p += 8)
		c = __builtin_ia32_crc32di(c, load64(p));
	for (; len > 0; len--, p++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return ~(uint32_t)c;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	static int	 fast = -1;

	if (fast == -1) {
		fast = __builtin_cpu_supports("sse4.2") != 0;
		if (fast)
			make_skip_table();
	}
	return fast ? crc32c_sse42(crc, data, len) :
	    crc32c_table(crc, data, len);
}
#else
uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	return crc32c_table(crc, data, len);
}
#endif
