"""The HTTP transport; see `voyage_rag.io.http.transport`."""
