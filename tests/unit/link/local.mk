# tests of src/link
