# tests of ev; see tests/local.mk
