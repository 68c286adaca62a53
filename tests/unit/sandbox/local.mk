# tests of sandbox; see tests/local.mk
