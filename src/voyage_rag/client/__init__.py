"""The client: one file per family of verbs, over the session they share."""

from voyage_rag.client.voyage import Voyage

__all__ = ["Voyage"]
