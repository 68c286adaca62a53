# Checks of the tree itself.
LINT_TESTS = tests/lint/layering.sh tests/lint/help-man.sh
TESTS += $(LINT_TESTS)
EXTRA_DIST += $(LINT_TESTS)
