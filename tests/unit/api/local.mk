# Tests of src/api.
