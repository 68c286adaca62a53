noinst_LIBRARIES += src/proc/libproc.a
src_proc_libproc_a_SOURCES =
