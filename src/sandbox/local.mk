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
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_transaction.c src/sandbox/crd_transaction.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_document.c src/sandbox/crd_document.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_array.c src/sandbox/crd_array.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agency_store.c src/sandbox/agency_ops.c src/sandbox/agency_store.h src/sandbox/agency_store_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_aql.c src/sandbox/crd_aql.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_cursor.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_import.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store.c src/sandbox/store.h src/sandbox/store_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_batch.c src/sandbox/store_batch.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_ring.c src/sandbox/store_durable.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_shard.c src/sandbox/store_index.c src/sandbox/store_doc.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_scan.c src/sandbox/store_snap.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_wal.c src/sandbox/store_wal.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_tail.c src/sandbox/store_marker.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/store_clients.c src/sandbox/store_clients.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss.c src/sandbox/boss.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss_check.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss_child.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss_cluster.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss_control.c src/sandbox/control.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/boss_ports.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cmd.c src/sandbox/cmd.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cmd_move.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cmd_run.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cmd_server.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cmd_status.c

# --- the program ---
bin_PROGRAMS += src/arangosync-sandbox
src_arangosync_sandbox_SOURCES = src/sandbox/main.c
src_arangosync_sandbox_LDADD = src/sandbox/libsandbox.a $(FOUNDATION_LIBS) $(EXTERNAL_LIBS) $(ROCKSDB_LIBS)
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agency.c src/sandbox/agency_self.c src/sandbox/agency_trx.c src/sandbox/agency.h src/sandbox/agency_client.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agent.c src/sandbox/agent_api.c src/sandbox/agent_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agent_log.c src/sandbox/agent_log.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agent_supervision.c src/sandbox/supervision_shards.c src/sandbox/supervision_jobs.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/agent_supervision.h src/sandbox/supervision_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/cluster.c src/sandbox/cluster_parse.c src/sandbox/cluster.h src/sandbox/cluster_priv.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/coordinator.c src/sandbox/coordinator.h src/sandbox/crd_json.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_definition.c src/sandbox/crd_indexdef.c src/sandbox/crd_definition.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_ddl.c src/sandbox/crd_ddl_index.c src/sandbox/crd_ddl_database.c src/sandbox/crd_ddl.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_bootstrap.c src/sandbox/crd_show.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_collection.c src/sandbox/crd_collection_data.c src/sandbox/crd_collection.h
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_index.c src/sandbox/crd_database.c
src_sandbox_libsandbox_a_SOURCES += src/sandbox/crd_admin.c src/sandbox/crd_inventory.c src/sandbox/crd_misc.c
endif
