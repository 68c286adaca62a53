noinst_LIBRARIES += src/cli/libcli.a
src_cli_libcli_a_SOURCES = \
	src/cli/cli.h \
	src/cli/create.c src/cli/create.h \
	src/cli/create_client_auth_ca.c \
	src/cli/create_client_auth_keyfile.c \
	src/cli/create_jwt_secret.c \
	src/cli/create_tls_ca.c \
	src/cli/create_tls_certificate.c \
	src/cli/create_tls_keyfile.c \
	src/cli/create_tls_keystore.c \
	src/cli/progress.c src/cli/progress.h \
	src/cli/text.c \
	src/cli/version.c

# The program.
bin_PROGRAMS += src/arangosync
src_arangosync_SOURCES = src/main.c
src_arangosync_LDADD = $(CLIENT_LIBS) $(FOUNDATION_LIBS) $(EXTERNAL_LIBS)

# "build Y" of --version: the commit, or "release" outside of git.  The file
# changes only when the commit does; only main.c includes it.
src/main.$(OBJEXT): src/build-id.h
src/build-id.h: build-id-force
	@$(MKDIR_P) src; id=release; \
	if test -e $(top_srcdir)/.git; then \
		id=`git -C $(top_srcdir) rev-parse --short=8 HEAD 2>/dev/null || echo unknown`; \
	fi; \
	echo "#define BUILD_ID \"$$id\"" >$@.tmp; \
	if cmp -s $@.tmp $@; then rm -f $@.tmp; else mv $@.tmp $@; fi
build-id-force:
.PHONY: build-id-force
CLEANFILES += src/build-id.h
