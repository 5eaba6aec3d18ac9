"""Images and videos as inputs of a multimodal model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from voyage_rag.checks import elements
from voyage_rag.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Image:
    """An image as an input of a multimodal model, for sources that are strings.

    Attributes:
        source: A path, an http(s) or data URL, bytes, a binary file, or a Pillow image.

    Examples:
        >>> from PIL import Image as PillowImage
        >>> from voyage_rag import Image, Voyage
        >>> PillowImage.new("RGB", (64, 64), "red").save("red.png")
        >>> inputs = [[Image("red.png"), "A red square"]]
        >>> result = Voyage().multimodal_embed(inputs, model="voyage-multimodal-3.5")
        >>> result.image_pixels
        50000
    """

    source: Any


@dataclass(frozen=True, slots=True)
class Video:
    """An MP4 video as an input of a multimodal model.

    Attributes:
        source: A path, an http(s) or data URL, bytes, or a binary file.

    Examples:
        >>> from voyage_rag import Video, Voyage
        >>> inputs = [[Video("https://example.com/lecture.mp4"), "A lecture"]]
        >>> result = Voyage().multimodal_embed(inputs, model="voyage-multimodal-3.5")
        >>> result.vectors
        <Vectors: 1 × 1024 numbers, float>
    """

    source: Any

    @classmethod
    def from_path(
        cls, path: str | PurePath, *, model: str | None = None, optimize: bool = False
    ) -> Video:
        """Return a video from a file, which is read when it is sent.

        Args:
            path: The file.
            model: Accepted for compatibility with the `voyageai` package; ignored.
            optimize: Not supported: the file is sent unchanged.

        Raises:
            InvalidInputError: `optimize` is True.
        """
        _refuse_optimizing(model, optimize=optimize)
        return cls(Path(path))

    @classmethod
    def from_file(
        cls, file_obj: IO[bytes], *, model: str | None = None, optimize: bool = False
    ) -> Video:
        """Read a video from an open binary file; see `from_path`."""
        _refuse_optimizing(model, optimize=optimize)
        return cls(file_obj.read())

    def to_bytes(self) -> bytes:
        """Return the content of a video from a path or bytes.

        Raises:
            InvalidInputError: The source is a URL or an open file.
        """
        if isinstance(self.source, PurePath):
            return Path(self.source).read_bytes()
        if isinstance(self.source, bytes):
            return self.source
        raise InvalidInputError(
            "the content of a video is available only if its source is a pathlib.Path or bytes, "
            f"not {type(self.source).__name__}"
        )

    def to_file(self, path: str | PurePath) -> None:
        """Write the video to a file; see `to_bytes`."""
        Path(path).write_bytes(self.to_bytes())


def media_sources(sources: object) -> list[Any]:
    """Return a list of media. A single path, URL, bytes object or file is a list of one."""
    if isinstance(sources, (str, bytes, PurePath)) or hasattr(sources, "read"):
        return [sources]
    return list(elements("the argument", sources, "a list of images or videos"))


def _refuse_optimizing(model: str | None, *, optimize: bool) -> None:
    if optimize:
        raise InvalidInputError(
            "optimize=True needs ffmpeg, which this package does not run: make the video smaller "
            f"before{f' it is sent to {model}' if model else ''}, as with voyageai.video_utils"
            ".optimize_video(...).to_file(path), and pass optimize=False"
        )
