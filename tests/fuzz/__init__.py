"""Decoders with arbitrary bytes: hypothesis in the tests, atheris in `make fuzz`."""
