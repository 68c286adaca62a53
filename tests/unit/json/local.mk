# tests of json; see tests/local.mk
