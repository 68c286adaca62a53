/* test_map.c - tests of base/map */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/random.h"
#include "unit.h"

static char	values[64];		/* distinct addresses */

static void
test_basics(void)
{
	struct map	 m = MAP_INIT;

	CU_ASSERT_PTR_NULL(map_get(&m, "a"));
	CU_ASSERT_PTR_NULL(map_del(&m, "a"));
	CU_ASSERT_PTR_NULL(map_put(&m, "a", &values[1]));
	CU_ASSERT_PTR_EQUAL(map_get(&m, "a"), &values[1]);
	CU_ASSERT_PTR_EQUAL(map_put(&m, "a", &values[2]), &values[1]);
	CU_ASSERT_EQUAL(map_count(&m), 1);
	map_put(&m, "", &values[3]);
	CU_ASSERT_PTR_EQUAL(map_get(&m, ""), &values[3]);
	map_put(&m, "nothing", NULL);
	CU_ASSERT_TRUE(map_has(&m, "nothing"));
	CU_ASSERT_FALSE(map_has(&m, "nothin"));
	CU_ASSERT_PTR_EQUAL(map_del(&m, "a"), &values[2]);
	CU_ASSERT_FALSE(map_has(&m, "a"));
	CU_ASSERT_EQUAL(map_count(&m), 2);
	map_free(&m, NULL);
	CU_ASSERT_EQUAL(map_count(&m), 0);
	map_put(&m, "again", &values[4]);
	CU_ASSERT_PTR_EQUAL(map_get(&m, "again"), &values[4]);
	map_free(&m, NULL);
}

static void
test_any_bytes(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;

	map_put_n(&m, "a\0b", 3, &values[1]);
	map_put_n(&m, "a\0c", 3, &values[2]);
	map_put_n(&m, "a", 1, &values[3]);
	CU_ASSERT_PTR_EQUAL(map_get_n(&m, "a\0b", 3), &values[1]);
	CU_ASSERT_PTR_EQUAL(map_get_n(&m, "a\0c", 3), &values[2]);
	CU_ASSERT_PTR_EQUAL(map_get(&m, "a"), &values[3]);
	CU_ASSERT_FALSE(map_has_n(&m, "a\0", 2));
	map_free(&m, NULL);

	map_put_u64(&m, 0, &values[0]);
	map_put_u64(&m, UINT64_MAX, &values[1]);
	CU_ASSERT_PTR_EQUAL(map_get_u64(&m, UINT64_MAX), &values[1]);
	CU_ASSERT_PTR_NULL(map_get_u64(&m, 1));
	map_iter_start(&m, &it);
	CU_ASSERT_TRUE(map_iter_next(&it));
	CU_ASSERT_EQUAL(map_iter_u64(&it), 0);
	CU_ASSERT_PTR_EQUAL(map_del_u64(&m, 0), &values[0]);
	CU_ASSERT_EQUAL(map_count(&m), 1);
	map_free(&m, NULL);
}

static void
test_order(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;
	char		 key[16], seen[64] = "";
	int		 i;

	for (i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "%c", "qwertyuiop"[i]);
		map_put(&m, key, NULL);
	}
	map_del(&m, "e");
	map_put(&m, "q", NULL);		/* keeps its place */
	map_put(&m, "e", NULL);		/* is new, at the end */
	MAP_FOREACH(&m, it)
		strcat(seen, it.key);
	CU_ASSERT_STRING_EQUAL(seen, "qwrtyuiope");
	map_free(&m, NULL);
}

/* Compared with the simplest thing that can be right: an array. */
static void
test_against_array(void)
{
	static uintptr_t	 want[500];	/* 0: not there */
	struct map		 m = MAP_INIT;
	struct map_iter		 it;
	char			 key[32];
	size_t			 i, k, n, bad = 0;

	memset(want, 0, sizeof(want));
	rand_seed(7);
	for (i = 0; i < 200000; i++) {
		k = rand_below(i / 20000 % 2 == 0 ? 500 : 50);
		snprintf(key, sizeof(key), "key/%zu/with some length", k);
		if (rand_below(3) != 0) {
			bad += (uintptr_t)map_put(&m, key, (void *)(i + 1))
			    != want[k];
			want[k] = i + 1;
		} else {
			bad += (uintptr_t)map_del(&m, key) != want[k];
			want[k] = 0;
		}
	}
	for (k = n = 0; k < 500; k++) {
		snprintf(key, sizeof(key), "key/%zu/with some length", k);
		bad += (uintptr_t)map_get(&m, key) != want[k];
		n += want[k] != 0;
	}
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(map_count(&m), n);
	MAP_FOREACH(&m, it)
		n--;
	CU_ASSERT_EQUAL(n, 0);
	map_free(&m, NULL);
}

static void
fill(struct map *m, int n)
{
	char	 key[16];
	int	 i;

	for (i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%d", i);
		map_put(m, key, &values[i % 64]);
	}
}

static void
test_delete_all_while_iterating(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;
	int		 n = 0;

	fill(&m, 100);
	MAP_FOREACH(&m, it) {
		n++;
		CU_ASSERT_PTR_EQUAL(map_del(&m, it.key), it.value);
	}
	CU_ASSERT_EQUAL(n, 100);
	CU_ASSERT_EQUAL(map_count(&m), 0);
	map_free(&m, NULL);
}

static void
test_delete_others_while_iterating(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;
	char		 key[16];
	int		 n = 0, i;

	fill(&m, 100);
	MAP_FOREACH(&m, it) {
		/* At the first: all odd ones, behind and before. */
		if (n++ == 0)
			for (i = 1; i < 100; i += 2) {
				snprintf(key, sizeof(key), "%d", i);
				map_del(&m, key);
			}
		CU_ASSERT_EQUAL(atoi(it.key) % 2, 0);
	}
	CU_ASSERT_EQUAL(n, 50);
	map_free(&m, NULL);
}

/*
 * Deletes and puts move the entries inside; each one that stays is shown once
 * all the same, and those that are put in as well.
 */
static void
test_change_while_iterating(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;
	char		 key[16];
	int		 shown[2000] = { 0 }, k, i, added = 0, bad = 0;

	fill(&m, 64);
	MAP_FOREACH(&m, it) {
		k = atoi(it.key);
		shown[k]++;
		if (added < 1000) {
			/* This one goes, and one of those to come. */
			snprintf(key, sizeof(key), "%d", k + 20);
			map_del(&m, it.key);
			if (k % 3 == 0)
				map_del(&m, key);
			snprintf(key, sizeof(key), "%d", 64 + added++);
			map_put(&m, key, NULL);
		}
	}
	for (i = 0; i < 2000; i++)
		bad += shown[i] > 1;
	CU_ASSERT_EQUAL(bad, 0);
	CU_ASSERT_EQUAL(shown[0], 1);
	CU_ASSERT_EQUAL(shown[20], 0);
	CU_ASSERT_EQUAL(shown[21], 1);
	CU_ASSERT_TRUE(m.squeezes > 0);	/* else this tested nothing */
	map_free(&m, NULL);
}

static void
test_empty_and_refill_while_iterating(void)
{
	struct map	 m = MAP_INIT;
	struct map_iter	 it;
	char		 seen[16] = "";

	map_put(&m, "a", NULL);
	map_put(&m, "b", NULL);
	MAP_FOREACH(&m, it) {
		strcat(seen, it.key);
		if (it.key[0] == 'a') {
			map_del(&m, "a");
			map_del(&m, "b");
			map_put(&m, "c", NULL);
			map_put(&m, "a", NULL);
		} else if (it.key[0] == 'c')
			break;		/* and nothing to clean up */
	}
	CU_ASSERT_STRING_EQUAL(seen, "ac");
	map_free(&m, NULL);
}

static void
test_free_values(void)
{
	struct map	 m = MAP_INIT;
	int		 i;
	char		 key[16];

	for (i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "%d", i);
		map_put(&m, key, xstrdup(key));
	}
	free(map_del(&m, "25"));
	map_free(&m, free);		/* a leak fails under a sanitizer */
	CU_ASSERT_EQUAL(map_count(&m), 0);
}

UNIT_MAIN("map",
    { "puts, gets, replaces, deletes", test_basics },
    { "keys are any bytes or numbers", test_any_bytes },
    { "order is that of insertion", test_order },
    { "random changes agree with an array", test_against_array },
    { "all may be deleted while iterating", test_delete_all_while_iterating },
    { "others may be deleted while iterating",
      test_delete_others_while_iterating },
    { "entries move while iterating, and none is shown twice",
      test_change_while_iterating },
    { "a map may be emptied and filled while iterating",
      test_empty_and_refill_while_iterating },
    { "values are freed with the map", test_free_values })
