# Tests of src/certs.
