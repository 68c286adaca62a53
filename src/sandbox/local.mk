# The sandbox cluster.  One line per file pair; see HACKING for the tour.
if SANDBOX
noinst_LIBRARIES += src/sandbox/libsandbox.a
src_sandbox_libsandbox_a_SOURCES =
src_sandbox_libsandbox_a_SOURCES += src/sandbox/errors.c src/sandbox/errors.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/server.c src/sandbox/server.h src/sandbox/server_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/reply.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/auth.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/common.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/rpc.c src/sandbox/rpc.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/child.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/docop.c src/sandbox/docop.h src/sandbox/docop_opts.c
endif
