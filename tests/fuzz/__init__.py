"""Decoders fed with any bytes: hypothesis in the tests, atheris in `make fuzz`."""
