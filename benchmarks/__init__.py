"""Side by side with the peers, against one fast local server. `make bench` runs it."""
