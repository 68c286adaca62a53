# tests of conf; see tests/local.mk
