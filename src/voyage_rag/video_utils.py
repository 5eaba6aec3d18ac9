"""The names of `voyageai.video_utils` that need no ffmpeg."""

from voyage_rag.media import Video

__all__ = ["Video"]
