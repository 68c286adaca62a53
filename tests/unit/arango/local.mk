# Tests of src/arango.
