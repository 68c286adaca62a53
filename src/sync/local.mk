noinst_LIBRARIES += src/sync/libsync.a
src_sync_libsync_a_SOURCES = \
	src/sync/barrier.c src/sync/barrier.h \
	src/sync/channel.c src/sync/channel.h \
	src/sync/commit.c src/sync/commit.h \
	src/sync/compare.c src/sync/compare.h \
	src/sync/fold.c src/sync/fold.h \
	src/sync/fold_out.c src/sync/fold_priv.h \
	src/sync/owed.c src/sync/owed.h \
	src/sync/plan.c src/sync/plan.h \
	src/sync/plan_coll.c src/sync/plan_priv.h \
	src/sync/plan_text.c \
	src/sync/position.c src/sync/position.h \
	src/sync/resume.c \
	src/sync/route.c src/sync/route.h \
	src/sync/route_code.c src/sync/route_priv.h \
	src/sync/route_refill.c src/sync/route_table.c \
	src/sync/shard.c src/sync/shard.h \
	src/sync/structure.c src/sync/structure.h \
	src/sync/structure_parse.c src/sync/structure_priv.h \
	src/sync/watermark.c src/sync/watermark.h
