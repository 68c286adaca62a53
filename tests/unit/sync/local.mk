# Tests of src/sync.
