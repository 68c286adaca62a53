# manual pages
if SANDBOX
dist_man_MANS += man/arangosync-sandbox.8
endif
dist_man_MANS += man/arangosync-queue.5
