/*
 * random.h - random numbers.
 *
 * rand_*() is a fast generator (xoshiro256**), seeded by the kernel, anew in
 * every process after fork(): for jitter, identifiers, sampling.  Secrets are
 * made with rand_secret() only.  One thread.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t rand_u64(void);
/* Evenly in 0 .. n-1; 0 when n is 0. */
uint64_t rand_below(uint64_t n);
/* n lower-case hex digits and a NUL: text has room for n + 1. */
void	rand_hex(char *text, size_t n);
/* Repeatable numbers, for tests. */
void	rand_seed(uint64_t seed);
/* Bytes from the kernel, fit for keys; the process ends if it gives none. */
void	rand_secret(void *data, size_t n);

#endif
