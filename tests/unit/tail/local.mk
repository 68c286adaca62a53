# tests of src/tail
