# tests of metrics; see tests/local.mk
