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
__attribute__((target("sse4.2")))
static uint32_t
crc32c_sse42(uint32_t crc, const void *data, size_t len)
{
	const uint8_t	*p = data;
	uint64_t	 c = (uint32_t)~crc, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; len > 0; len--, p++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *p);
	return ~(uint32_t)c;
}

uint32_t
crc32c(uint32_t crc, const void *data, size_t len)
{
	static int	 fast = -1;

	if (fast == -1)
		fast = __builtin_cpu_supports("sse4.2") != 0;
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
