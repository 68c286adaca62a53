# tests of http; see tests/local.mk
if HAVE_CUNIT
UNIT_HTTP = \
	tests/unit/http/test_client \
	tests/unit/http/test_jwt \
	tests/unit/http/test_server \
	tests/unit/http/test_server_life \
	tests/unit/http/test_tls \
	tests/unit/http/test_url
check_PROGRAMS += $(UNIT_HTTP)
TESTS += $(UNIT_HTTP)
tests_unit_http_test_client_SOURCES = tests/unit/http/test_client.c
tests_unit_http_test_client_LDADD = $(UNIT_LIBS)
tests_unit_http_test_jwt_SOURCES = tests/unit/http/test_jwt.c
tests_unit_http_test_jwt_LDADD = $(UNIT_LIBS)
RAW_CLIENT = tests/unit/http/raw_client.c tests/unit/http/raw_client.h
tests_unit_http_test_server_life_SOURCES = tests/unit/http/test_server_life.c $(RAW_CLIENT)
tests_unit_http_test_server_life_LDADD = $(UNIT_LIBS)
tests_unit_http_test_server_SOURCES = tests/unit/http/test_server.c $(RAW_CLIENT)
tests_unit_http_test_server_LDADD = $(UNIT_LIBS)
tests_unit_http_test_tls_SOURCES = tests/unit/http/test_tls.c \
	tests/unit/http/pki.c tests/unit/http/pki.h
tests_unit_http_test_tls_LDADD = $(UNIT_LIBS)
tests_unit_http_test_url_SOURCES = tests/unit/http/test_url.c
tests_unit_http_test_url_LDADD = $(UNIT_LIBS)
endif
