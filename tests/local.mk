# Tests.  Each folder has a local.mk of its own; unit programs mirror src.

check_LIBRARIES += tests/lib/libtest.a
tests_lib_libtest_a_SOURCES = tests/lib/unit.c tests/lib/unit.h \
	tests/lib/garbage.c tests/lib/garbage.h

UNIT_LIBS = tests/lib/libtest.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(CUNIT_LIBS)

include tests/unit/base/local.mk
include tests/unit/ev/local.mk
include tests/unit/ipc/local.mk
include tests/unit/json/local.mk
include tests/unit/vpack/local.mk
include tests/unit/metrics/local.mk
include tests/unit/conf/local.mk
include tests/unit/http/local.mk
include tests/unit/sandbox/local.mk
include tests/unit/queue/local.mk
include tests/recovery/local.mk
include tests/unit/arango/local.mk
include tests/unit/sync/local.mk
include tests/unit/tail/local.mk
include tests/unit/send/local.mk
include tests/unit/link/local.mk
include tests/unit/receive/local.mk
include tests/unit/inventory/local.mk
include tests/unit/master/local.mk
include tests/unit/api/local.mk
include tests/unit/certs/local.mk
include tests/unit/cli/local.mk
include tests/ipc/local.mk
include tests/fuzz/local.mk
include tests/rig/local.mk
include tests/e2e/local.mk
include tests/bench/local.mk
include tests/lint/local.mk
