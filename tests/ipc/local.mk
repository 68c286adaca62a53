# tests of ipc; see tests/local.mk
