# Tests of src/master.
