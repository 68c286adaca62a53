# tests of bench; see tests/local.mk
