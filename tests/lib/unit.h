/*
 * unit.h - a table of CUnit tests that reports in TAP, so that `make check`
 * counts tests and not programs.
 *
 *	UNIT_MAIN("buf",
 *	    { "grows and keeps what is in it", test_grow },
 *	    { "refuses a size that overflows", test_overflow })
 *
 * Inside a test use CUnit's CU_ASSERT_* macros.  A test says what holds, in
 * words ("a torn record is cut"), not which function it calls.
 */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include <CUnit/CUnit.h>

struct unit_test {
	const char	*name;
	void		(*run)(void);
};

/* Run the tests in order; returns 0 when all passed, 1 otherwise. */
int	unit_run(const char *suite, const struct unit_test *tests, size_t n);

/*
 * Skip the rest of the current test (it counts as skipped, not as passed).
 * Only for what the machine lacks; say what that is.  Does not return, so
 * clean up before.
 */
void	unit_skip(const char *why) __attribute__((noreturn));

/* FIXTURES directory, or NULL when the tests run without recorded material. */
const char *unit_fixtures(void);

#define UNIT_MAIN(suite, ...)						\
	int main(void)							\
	{								\
		static const struct unit_test tests_[] = { __VA_ARGS__ };	\
		return unit_run(suite, tests_,				\
		    sizeof(tests_) / sizeof(tests_[0]));		\
	}

#endif
