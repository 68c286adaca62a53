# One block a target; see local.mk.
if SANDBOX
FUZZ_BINS += tests/fuzz/fuzz_aql
endif
tests_fuzz_fuzz_aql_SOURCES = tests/fuzz/fuzz_aql.c $(FUZZ_MAIN)
tests_fuzz_fuzz_aql_LDADD = src/sandbox/libsandbox.a $(FUZZ_LIBS) $(ROCKSDB_LIBS)
tests_fuzz_fuzz_aql_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_vpack
tests_fuzz_fuzz_vpack_SOURCES = tests/fuzz/fuzz_vpack.c $(FUZZ_MAIN)
tests_fuzz_fuzz_vpack_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_vpack_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_json
tests_fuzz_fuzz_json_SOURCES = tests/fuzz/fuzz_json.c $(FUZZ_MAIN)
tests_fuzz_fuzz_json_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_json_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_lines
tests_fuzz_fuzz_lines_SOURCES = tests/fuzz/fuzz_lines.c $(FUZZ_MAIN)
tests_fuzz_fuzz_lines_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_lines_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(FUZZ_MAIN)
tests_fuzz_fuzz_conf_LDADD = src/conf/libconf.a src/base/libbase.a
tests_fuzz_fuzz_conf_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_url
tests_fuzz_fuzz_url_SOURCES = tests/fuzz/fuzz_url.c $(FUZZ_MAIN)
tests_fuzz_fuzz_url_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_url_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_jwt
tests_fuzz_fuzz_jwt_SOURCES = tests/fuzz/fuzz_jwt.c $(FUZZ_MAIN)
tests_fuzz_fuzz_jwt_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_jwt_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_http_request
tests_fuzz_fuzz_http_request_SOURCES = tests/fuzz/fuzz_http_request.c $(FUZZ_MAIN)
tests_fuzz_fuzz_http_request_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_http_request_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

if SANDBOX
FUZZ_BINS += tests/fuzz/fuzz_wal
endif
tests_fuzz_fuzz_wal_SOURCES = tests/fuzz/fuzz_wal.c $(FUZZ_MAIN)
tests_fuzz_fuzz_wal_LDADD = src/sandbox/libsandbox.a $(FUZZ_LIBS) $(ROCKSDB_LIBS)
tests_fuzz_fuzz_wal_LDFLAGS = $(FUZZ_LDFLAGS_ALL)
FUZZ_BINS += tests/fuzz/fuzz_frame
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c $(FUZZ_MAIN)
tests_fuzz_fuzz_frame_LDADD = $(FUZZ_LIBS)
tests_fuzz_fuzz_frame_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

if SANDBOX
FUZZ_BINS += tests/fuzz/fuzz_agency
endif
tests_fuzz_fuzz_agency_SOURCES = tests/fuzz/fuzz_agency.c $(FUZZ_MAIN)
tests_fuzz_fuzz_agency_LDADD = src/sandbox/libsandbox.a $(FUZZ_LIBS)
tests_fuzz_fuzz_agency_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

if SANDBOX
FUZZ_BINS += tests/fuzz/fuzz_document
endif
tests_fuzz_fuzz_document_SOURCES = tests/fuzz/fuzz_document.c $(FUZZ_MAIN)
tests_fuzz_fuzz_document_LDADD = src/sandbox/libsandbox.a $(FUZZ_LIBS) $(ROCKSDB_LIBS)
tests_fuzz_fuzz_document_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_fold
tests_fuzz_fuzz_fold_SOURCES = tests/fuzz/fuzz_fold.c $(FUZZ_MAIN)
tests_fuzz_fuzz_fold_LDADD = src/sync/libsync.a $(FUZZ_LIBS)
tests_fuzz_fuzz_fold_LDFLAGS = $(FUZZ_LDFLAGS_ALL)
FUZZ_BINS += tests/fuzz/fuzz_segment
tests_fuzz_fuzz_segment_SOURCES = tests/fuzz/fuzz_segment.c $(FUZZ_MAIN)
tests_fuzz_fuzz_segment_LDADD = src/queue/libqueue.a $(FUZZ_LIBS)
tests_fuzz_fuzz_segment_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_tail_client
tests_fuzz_fuzz_tail_client_SOURCES = tests/fuzz/fuzz_tail_client.c $(FUZZ_MAIN)
tests_fuzz_fuzz_tail_client_LDADD = src/arango/libarango.a $(FUZZ_LIBS)
tests_fuzz_fuzz_tail_client_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_agency_dump
tests_fuzz_fuzz_agency_dump_SOURCES = tests/fuzz/fuzz_agency_dump.c $(FUZZ_MAIN)
tests_fuzz_fuzz_agency_dump_LDADD = src/arango/libarango.a $(FUZZ_LIBS)
tests_fuzz_fuzz_agency_dump_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_inventory_client
tests_fuzz_fuzz_inventory_client_SOURCES = tests/fuzz/fuzz_inventory_client.c $(FUZZ_MAIN)
tests_fuzz_fuzz_inventory_client_LDADD = src/arango/libarango.a $(FUZZ_LIBS)
tests_fuzz_fuzz_inventory_client_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_structure
tests_fuzz_fuzz_structure_SOURCES = tests/fuzz/fuzz_structure.c $(FUZZ_MAIN)
tests_fuzz_fuzz_structure_LDADD = src/sync/libsync.a $(FUZZ_LIBS)
tests_fuzz_fuzz_structure_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_channel
tests_fuzz_fuzz_channel_SOURCES = tests/fuzz/fuzz_channel.c $(FUZZ_MAIN)
tests_fuzz_fuzz_channel_LDADD = src/sync/libsync.a $(FUZZ_LIBS)
tests_fuzz_fuzz_channel_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_receive
tests_fuzz_fuzz_receive_SOURCES = tests/fuzz/fuzz_receive.c $(FUZZ_MAIN)
tests_fuzz_fuzz_receive_LDADD = src/receive/libreceive.a src/sync/libsync.a $(FUZZ_LIBS)
tests_fuzz_fuzz_receive_LDFLAGS = $(FUZZ_LDFLAGS_ALL)

FUZZ_BINS += tests/fuzz/fuzz_bodies
tests_fuzz_fuzz_bodies_SOURCES = tests/fuzz/fuzz_bodies.c tests/lib/bodies.c tests/lib/bodies.h $(FUZZ_MAIN)
tests_fuzz_fuzz_bodies_LDADD = src/inventory/libinventory.a src/receive/libreceive.a \
	src/link/liblink.a src/send/libsend.a src/tail/libtail.a src/worker/libworker.a \
	src/sync/libsync.a src/arango/libarango.a src/queue/libqueue.a $(FUZZ_LIBS)
tests_fuzz_fuzz_bodies_LDFLAGS = $(FUZZ_LDFLAGS_ALL)
