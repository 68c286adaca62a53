noinst_LIBRARIES += src/arango/libarango.a
src_arango_libarango_a_SOURCES = \
	src/arango/agency.c src/arango/agency.h src/arango/agency_priv.h \
	src/arango/agency_wait.c \
	src/arango/auth.c \
	src/arango/cancel.c \
	src/arango/conn.c src/arango/conn.h src/arango/conn_priv.h \
	src/arango/errors.c src/arango/errors.h \
	src/arango/dump.c \
	src/arango/snapshot.c src/arango/snapshot.h src/arango/snapshot_priv.h \
	src/arango/state.c \
	src/arango/structure.c src/arango/structure.h \
	src/arango/hold.c \
	src/arango/tail.c src/arango/tail.h \
	src/arango/topology.c src/arango/topology.h src/arango/topology_priv.h \
	src/arango/topology_make.c \
	src/arango/vpack_split.c src/arango/vpack_split.h \
	src/arango/wal_parse.c src/arango/wal_parse.h \
	src/arango/write.c src/arango/write.h
