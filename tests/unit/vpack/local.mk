# tests of vpack; see tests/local.mk
