# tests of src/receive
