/* random.c - random numbers */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/err.h"
#include "base/random.h"

/* xoshiro256**, by Blackman and Vigna (public domain); never all zero. */
static uint64_t	state[4];
static pid_t	seeded_pid;	/* 0: not seeded; children seed anew */

void
rand_secret(void *data, size_t n)
{
	uint8_t	*p = data;
	ssize_t	 r;

	while (n > 0) {
		r = getrandom(p, MIN(n, 256), 0);
		if (r == -1 && errno == EINTR)
			continue;
		if (r <= 0)
			fatal("the kernel gives no random bytes: %s",
			    strerror(errno));
		p += r;
		n -= (size_t)r;
	}
}

/* splitmix64 turns any number, 0 too, into a good state. */
void
rand_seed(uint64_t seed)
{
	uint64_t	 z;
	size_t		 i;

	for (i = 0; i < NITEMS(state); i++) {
		z = seed += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		state[i] = z ^ z >> 31;
	}
	seeded_pid = getpid();
}

static uint64_t
rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t
next(void)
{
	uint64_t	 result = rotate(state[1] * 5, 7) * 9;
	uint64_t	 t = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = rotate(state[3], 45);
	return result;
}

/*
 * Forked children must not hand out the numbers of their siblings.  getpid()
 * is a system call of 50 ns or so, cheap against what the numbers are for.
 */
static void
check_seeded(void)
{
	uint64_t	 seed;

	if (seeded_pid == getpid())
		return;
	rand_secret(&seed, sizeof(seed));
	rand_seed(seed);
}

uint64_t
rand_u64(void)
{
	check_seeded();
	return next();
}

/*
 * Lemire's method: the high half of a product is in 0 .. n-1; the few low
 * halves that would make some results likelier are thrown again.
 */
uint64_t
rand_below(uint64_t n)
{
	unsigned __int128	 product;
	uint64_t		 least;

	if (n == 0)
		return 0;
	check_seeded();
	least = -n % n;
	do
		product = (unsigned __int128)next() * n;
	while ((uint64_t)product < least);
	return (uint64_t)(product >> 64);
}

void
rand_hex(char *text, size_t n)
{
	uint64_t	 bits = 0;
	size_t		 i;

	check_seeded();
	for (i = 0; i < n; i++) {
		if (i % 16 == 0)
			bits = next();
		text[i] = "0123456789abcdef"[bits & 15];
		bits >>= 4;
	}
	text[n] = '\0';
}
