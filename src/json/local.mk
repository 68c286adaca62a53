noinst_LIBRARIES += src/json/libjson.a
src_json_libjson_a_SOURCES = \
	src/json/check.c \
	src/json/get.c src/json/get.h \
	src/json/scan.c src/json/scan.h \
	src/json/text.c src/json/text.h
