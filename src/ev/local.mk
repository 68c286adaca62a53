noinst_LIBRARIES += src/ev/libev.a
src_ev_libev_a_SOURCES = \
	src/ev/backoff.c src/ev/backoff.h \
	src/ev/fiber.c src/ev/fiber.h \
	src/ev/loop.c src/ev/loop.h src/ev/loop_priv.h \
	src/ev/switch.c src/ev/switch.h
