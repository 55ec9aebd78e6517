"""Which kernels there are: one table a library, and that of the operators of our own."""
