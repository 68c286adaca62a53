noinst_LIBRARIES += src/tail/libtail.a
src_tail_libtail_a_SOURCES = \
	src/tail/tail.c src/tail/tail.h src/tail/tail_priv.h \
	src/tail/tail_conf.c src/tail/tail_drive.c src/tail/tail_file.c \
	src/tail/tail_join.c src/tail/tail_mark.c src/tail/tail_read.c \
	src/tail/tail_proof.c src/tail/tail_row.c src/tail/tail_sleep.c
