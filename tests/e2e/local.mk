# End-to-end tests against sandbox clusters.  E2E_SHORT is part of make check,
# LONG_TESTS of make check-long.
E2E_LIB = tests/lib/sandbox.py tests/lib/datacenters.py tests/lib/load.py
E2E_SHORT =
# Two clusters and two masters.
REPLICATE_LONG = tests/e2e/replicate_shapes.py tests/e2e/replicate_many.py \
	tests/e2e/replicate_kill.py tests/e2e/replicate_servers.py \
	tests/e2e/replicate_masters.py tests/e2e/replicate_end.py \
	tests/e2e/replicate_dumps.py tests/e2e/replicate_input.py \
	tests/e2e/replicate_chaos.py tests/e2e/replicate_disk.py \
	tests/e2e/replicate_idle.py \
	tests/e2e/replicate_large.py tests/e2e/replicate_ttl.py \
	tests/e2e/replicate_liar.py \
	tests/e2e/replicate_timeouts.py tests/e2e/replicate_trust.py \
	tests/e2e/replicate_chain.py
if SANDBOX
E2E_SHORT += tests/e2e/smoke.py
LONG_TESTS += tests/e2e/transcripts.py tests/e2e/wal.py tests/e2e/chaos.py tests/e2e/dbserver.py
LONG_TESTS += tests/e2e/arangojs.py tests/e2e/flags_input.py tests/e2e/http_input.py tests/e2e/arango_input.py
LONG_TESTS += tests/e2e/master.py tests/e2e/master_input.py tests/e2e/source.py
LONG_TESTS += tests/e2e/tail_client.py tests/e2e/inventory.py
LONG_TESTS += tests/e2e/pair.py tests/e2e/tail_restarts.py
E2E_SHORT += tests/e2e/replicate.py
LONG_TESTS += $(REPLICATE_LONG)
endif
E2E_SHORT += tests/e2e/cli.py tests/e2e/cli_remote.py
TESTS += $(E2E_SHORT)
EXTRA_DIST += tests/e2e/cli.py tests/e2e/cli_remote.py tests/e2e/cli_lib.py tests/e2e/cli_master.py
EXTRA_DIST += tests/e2e/master.py tests/e2e/master_input.py tests/e2e/master_lib.py
EXTRA_DIST += tests/e2e/source.py tests/e2e/flags_input.py tests/e2e/http_input.py tests/e2e/arango_input.py
EXTRA_DIST += tests/e2e/replicate.py $(REPLICATE_LONG)
EXTRA_DIST += $(E2E_LIB) tests/e2e/smoke.py tests/e2e/chaos.py tests/e2e/dbserver.py tests/e2e/wal.py tests/e2e/transcripts.py
EXTRA_DIST += tests/e2e/arangojs.py tests/e2e/arangojs.mjs tests/e2e/arangojs_lib.mjs tests/e2e/arangojs_documents.mjs

# The driver that arangojs.py has installed.
clean-local:
	-rm -rf tests/e2e/node-arangojs-*

# The client library on its own.
check_PROGRAMS += tests/e2e/tail_client
tests_e2e_tail_client_SOURCES = tests/e2e/tail_client.c \
	tests/e2e/tail_client_api.c tests/e2e/tail_client.h
tests_e2e_tail_client_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/e2e
tests_e2e_tail_client_LDADD = src/arango/libarango.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)
EXTRA_DIST += tests/e2e/tail_client.py tests/e2e/pair.py tests/e2e/inventory.py tests/e2e/tail_restarts.py
