"""Images and videos among the inputs of a multimodal model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from voyage_rag.checks import elements
from voyage_rag.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Image:
    """An image among the inputs of a multimodal model, where a string would be taken for text.

    Attributes:
        source: A path, an http(s) or data URL, bytes, a binary file, or an image of Pillow's.
    """

    source: Any


@dataclass(frozen=True, slots=True)
class Video:
    """A video, in MP4, among the inputs of a multimodal model.

    Attributes:
        source: A path, an http(s) or data URL, bytes, or a binary file.
    """

    source: Any

    @classmethod
    def from_path(
        cls, path: str | PurePath, *, model: str | None = None, optimize: bool = False
    ) -> Video:
        """A video in a file, which is read when it is sent.

        Args:
            path: The file.
            model: As of Voyage's own client; not needed.
            optimize: Not supported: the file is sent as it is.

        Raises:
            InvalidInputError: It is to be optimised.
        """
        _refuse_optimizing(model, optimize=optimize)
        return cls(Path(path))

    @classmethod
    def from_file(
        cls, file_obj: IO[bytes], *, model: str | None = None, optimize: bool = False
    ) -> Video:
        """A video in an open binary file, which is read now; see `from_path`."""
        _refuse_optimizing(model, optimize=optimize)
        return cls(file_obj.read())

    def to_bytes(self) -> bytes:
        """The video of a path or of bytes.

        Raises:
            InvalidInputError: It is an address or an open file.
        """
        if isinstance(self.source, PurePath):
            return Path(self.source).read_bytes()
        if isinstance(self.source, bytes):
            return self.source
        raise InvalidInputError(
            f"a video given as {type(self.source).__name__} has no bytes before it is sent"
        )

    def to_file(self, path: str | PurePath) -> None:
        """Write the video to a file; see `to_bytes`."""
        Path(path).write_bytes(self.to_bytes())


def media_sources(sources: object) -> list[Any]:
    """A list of media, of which a path, URL or file's bytes by itself is one."""
    if isinstance(sources, (str, bytes, PurePath)):
        return [sources]
    return list(elements("the argument", sources, "a list of images or videos"))


def _refuse_optimizing(model: str | None, *, optimize: bool) -> None:
    if optimize:
        raise InvalidInputError(
            "optimize=True needs ffmpeg, which this package does not run: make the video smaller "
            f"before{f' it is sent to {model}' if model else ''}, as with voyageai.video_utils"
            ".optimize_video(...).to_file(path), and pass optimize=False"
        )
