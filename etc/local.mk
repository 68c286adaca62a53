# What a system needs beside the program: unit, user, an example of its flags.
systemdunitdir = $(prefix)/lib/systemd/system
nodist_systemdunit_DATA = etc/arangosync-master.service
sysusersdir = $(prefix)/lib/sysusers.d
dist_doc_DATA = etc/master.env.example
EXTRA_DIST += etc/arangosync-master.service.in etc/arangosync.sysusers
CLEANFILES += etc/arangosync-master.service

etc/arangosync-master.service: etc/arangosync-master.service.in Makefile
	@$(MKDIR_P) etc
	$(AM_V_GEN)sed 's|@bindir[@]|$(bindir)|' \
		'$(srcdir)/etc/arangosync-master.service.in' >$@.new && mv $@.new $@

# In the directory of sysusers.d a file ends with .conf.
install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysusersdir)'
	$(INSTALL_DATA) '$(srcdir)/etc/arangosync.sysusers' \
		'$(DESTDIR)$(sysusersdir)/arangosync.conf'
uninstall-local:
	rm -f '$(DESTDIR)$(sysusersdir)/arangosync.conf'
