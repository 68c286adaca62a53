# Fuzz targets.  With --enable-fuzzing they are libFuzzer programs; without it
# they replay tests/fuzz/corpus/<target> and mutations of it, as tests.
#
# A new target X: tests/fuzz/fuzz_X.c with LLVMFuzzerTestOneInput, seeds in
# tests/fuzz/corpus/X/, and three lines here.

FUZZ_BINS =
if FUZZING
FUZZ_MAIN =
FUZZ_LDFLAGS_ALL = $(AM_LDFLAGS) $(FUZZ_LDFLAGS)
else
FUZZ_MAIN = tests/fuzz/replay.c
FUZZ_LDFLAGS_ALL = $(AM_LDFLAGS)
endif
FUZZ_LIBS = $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)

include tests/fuzz/targets.mk

check_PROGRAMS += $(FUZZ_BINS)
if !FUZZING
TESTS += $(FUZZ_BINS)
endif
EXTRA_DIST += tests/fuzz/corpus
