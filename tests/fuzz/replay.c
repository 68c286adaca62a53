/*
 * replay.c - main() of a fuzz target in an ordinary build: runs the corpus,
 * then a fixed number of mutations of each seed.  The mutations come from a
 * fixed generator, so that a failure can be repeated; a real campaign uses
 * --enable-fuzzing.
 *
 * usage: fuzz_X [FILE...]	default: all of $top_srcdir/tests/fuzz/corpus/X
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUTATIONS_PER_SEED	300
#define SEED_MAX_BYTES		(1 << 20)

static uint64_t	state = 0x9e3779b97f4a7c15ULL;

static uint64_t
next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Run one input from a block of exactly its size, so that a sanitizer sees
 * the first byte read behind it. */
static void
run_exact(const uint8_t *data, size_t size)
{
	uint8_t	*copy = malloc(size == 0 ? 1 : size);

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void
run_mutations(const uint8_t *seed, size_t size)
{
	uint8_t	*work = malloc(size + 16);
	size_t	 n, at, len;
	int	 i, k;

	if (work == NULL)
		abort();
	for (i = 0; i < MUTATIONS_PER_SEED; i++) {
		n = size;
		memcpy(work, seed, size);
		for (k = (int)(next_random() % 4); k >= 0 && n > 0; k--) {
			at = next_random() % n;
			switch (next_random() % 5) {
			case 0:
				work[at] = (uint8_t)next_random();
				break;
			case 1:
				work[at] ^= (uint8_t)(1u << next_random() % 8);
				break;
			case 2:
				n = at;
				break;
			case 3:		/* remove a piece */
				len = next_random() % (n - at) + 1;
				memmove(work + at, work + at + len,
				    n - at - len);
				n -= len;
				break;
			case 4:		/* insert a byte */
				if (n < size + 15) {
					memmove(work + at + 1, work + at,
					    n - at);
					work[at] = "\"{}[],:\\\0\xff"
					    [next_random() % 10];
					n++;
				}
				break;
			}
		}
		run_exact(work, n);
	}
	free(work);
}

static int
run_file(const char *path)
{
	FILE	*f = fopen(path, "rb");
	uint8_t	*data;
	size_t	 n;

	if (f == NULL) {
		printf("# cannot read %s\n", path);
		return -1;
	}
	data = malloc(SEED_MAX_BYTES);
	if (data == NULL)
		abort();
	n = fread(data, 1, SEED_MAX_BYTES, f);
	fclose(f);
	run_exact(data, n);
	run_mutations(data, n);
	free(data);
	return 0;
}

int
main(int argc, char **argv)
{
	const char	*top = getenv("top_srcdir"), *name;
	struct dirent	*e;
	char		 dir[4096], path[8192];
	DIR		*d;
	int		 i, seeds = 0, bad = 0;

	name = strrchr(argv[0], '/');
	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	printf("1..1\n");
	fflush(stdout);
	for (i = 1; i < argc; i++) {
		bad |= run_file(argv[i]);
		seeds++;
	}
	if (argc == 1) {
		snprintf(dir, sizeof(dir), "%s/tests/fuzz/corpus/%s",
		    top == NULL ? "." : top, name);
		if ((d = opendir(dir)) == NULL) {
			printf("not ok 1 - fuzz %s: no corpus in %s\n", name,
			    dir);
			return 1;
		}
		while ((e = readdir(d)) != NULL) {
			if (e->d_name[0] == '.')
				continue;
			snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
			bad |= run_file(path);
			seeds++;
		}
		closedir(d);
	}
	if (bad != 0 || seeds == 0) {
		printf("not ok 1 - fuzz %s: no seed could be read\n", name);
		return 1;
	}
	printf("ok 1 - fuzz %s: %d seeds and %d mutations of each\n", name,
	    seeds, MUTATIONS_PER_SEED);
	return 0;
}
