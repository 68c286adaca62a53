# tests of src/inventory
