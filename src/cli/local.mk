noinst_LIBRARIES += src/cli/libcli.a
src_cli_libcli_a_SOURCES = \
	src/cli/abort_outgoing_sync.c \
	src/cli/abort_sync.c \
	src/cli/check_sync.c \
	src/cli/checkplan.c src/cli/checkplan.h \
	src/cli/cli.h \
	src/cli/configure_sync.c \
	src/cli/create.c src/cli/create.h \
	src/cli/create_client_auth_ca.c \
	src/cli/create_client_auth_keyfile.c \
	src/cli/create_jwt_secret.c \
	src/cli/create_tls_ca.c \
	src/cli/create_tls_certificate.c \
	src/cli/create_tls_keyfile.c \
	src/cli/create_tls_keystore.c \
	src/cli/get_masters.c \
	src/cli/get_message_timeout.c \
	src/cli/get_status.c \
	src/cli/get_tasks.c \
	src/cli/get_version.c \
	src/cli/get_workers.c \
	src/cli/headline.c \
	src/cli/list.c src/cli/list.h \
	src/cli/progress.c src/cli/progress.h \
	src/cli/queue_check.c \
	src/cli/queue_dump.c \
	src/cli/queue_info.c src/cli/queue_info.h \
	src/cli/queue_list.c \
	src/cli/remote.c src/cli/remote.h \
	src/cli/remote_call.c \
	src/cli/remote_priv.h \
	src/cli/reset_failed_shard.c \
	src/cli/run_master.c \
	src/cli/set_message_timeout.c \
	src/cli/stop_sync.c \
	src/cli/syncinfo.c src/cli/syncinfo.h \
	src/cli/syncwait.c \
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
