noinst_LIBRARIES += src/arango/libarango.a
src_arango_libarango_a_SOURCES = \
	src/arango/agency.h \
	src/arango/conn.h \
	src/arango/errors.c src/arango/errors.h \
	src/arango/snapshot.h \
	src/arango/structure.h \
	src/arango/tail.h \
	src/arango/topology.h \
	src/arango/write.h
