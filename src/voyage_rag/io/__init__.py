"""What waits: the drivers of flows, and the transport below them."""
