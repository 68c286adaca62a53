/* unit.c - CUnit tests reported in TAP */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/TestRun.h>

#include "unit.h"

static const char	*skipped;	/* reason, when unit_skip() was called */

static void
print_failures(CU_pFailureRecord f)
{
	for (; f != NULL; f = f->pNext)
		printf("# %s:%u: %s\n", f->strFileName, f->uiLineNumber,
		    f->strCondition);
}

int
unit_run(const char *suite, const struct unit_test *tests, size_t n)
{
	CU_pSuite		 s;
	CU_pTest		 t;
	CU_pFailureRecord	 seen = NULL, last;
	size_t			 i, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (CU_initialize_registry() != CUE_SUCCESS ||
	    (s = CU_add_suite(suite, NULL, NULL)) == NULL) {
		printf("Bail out! CUnit: %s\n", CU_get_error_msg());
		return 1;
	}
	printf("1..%zu\n", n);
	for (i = 0; i < n; i++) {
		t = CU_add_test(s, tests[i].name, tests[i].run);
		if (t == NULL) {
			printf("Bail out! CUnit: %s\n", CU_get_error_msg());
			return 1;
		}
		skipped = NULL;
		CU_run_test(s, t);
		/* CU_run_test starts its list of failures anew each time. */
		last = CU_get_failure_list();
		seen = last;
		if (CU_get_number_of_failures() != 0 || seen != NULL) {
			failed++;
			print_failures(seen);
			printf("not ok %zu - %s: %s\n", i + 1, suite,
			    tests[i].name);
		} else if (skipped != NULL)
			printf("ok %zu - %s: %s # SKIP %s\n", i + 1, suite,
			    tests[i].name, skipped);
		else
			printf("ok %zu - %s: %s\n", i + 1, suite,
			    tests[i].name);
	}
	CU_cleanup_registry();
	return failed != 0;
}

/* As CUnit's fatal assertions do, without a failure. */
void
unit_skip(const char *why)
{
	skipped = why;
	longjmp(*CU_get_current_test()->pJumpBuf, 1);
}

const char *
unit_fixtures(void)
{
	const char	*dir = getenv("FIXTURES");

	return dir != NULL && dir[0] != '\0' ? dir : NULL;
}
