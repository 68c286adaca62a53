noinst_LIBRARIES += src/proc/libproc.a
src_proc_libproc_a_SOURCES = \
	src/proc/child.c src/proc/child.h src/proc/child_priv.h \
	src/proc/contract.h src/proc/exit.c \
	src/proc/daemon.c src/proc/daemon.h \
	src/proc/notify.c src/proc/notify.h \
	src/proc/member.c src/proc/member.h \
	src/proc/mesh.c src/proc/mesh.h \
	src/proc/pollset.c src/proc/pollset.h \
	src/proc/proc.h src/proc/spawn.c \
	src/proc/super.c src/proc/super_priv.h \
	src/proc/title.c src/proc/title.h
