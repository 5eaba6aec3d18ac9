"""The client: one module per group of endpoints, based on a shared session."""

from voyage_rag.client.voyage import Voyage

__all__ = ["Voyage"]
