"""The part of `voyageai.video_utils` that does not require ffmpeg."""

from voyage_rag.media import Video

__all__ = ["Video"]
