"""All I/O: the drivers that run flows, and the transport that they use."""
