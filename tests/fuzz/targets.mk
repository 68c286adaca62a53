# One block a target; see local.mk.
if SANDBOX
FUZZ_BINS += tests/fuzz/fuzz_aql
endif
tests_fuzz_fuzz_aql_SOURCES = tests/fuzz/fuzz_aql.c $(FUZZ_MAIN)
tests_fuzz_fuzz_aql_LDADD = src/sandbox/libsandbox.a $(FUZZ_LIBS) $(ROCKSDB_LIBS)
tests_fuzz_fuzz_aql_LDFLAGS = $(FUZZ_LDFLAGS_ALL)
