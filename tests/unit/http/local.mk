# tests of http; see tests/local.mk
