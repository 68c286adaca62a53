# manual pages
if SANDBOX
dist_man_MANS += man/arangosync-sandbox.8
endif
dist_man_MANS += man/arangosync-queue.5 man/arangosync-protocol.7
dist_man_MANS += man/arangosync.1 man/arangosync-create.1 \
	man/arangosync-get.1 man/arangosync-queue.1 man/arangosync-run.1 \
	man/arangosync-sync.1
