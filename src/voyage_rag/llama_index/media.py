"""Images and videos under LlamaIndex's method names.

LlamaIndex's base class passes images to its handlers as if they were texts. Its
`TokenCountingHandler` raises an error for a file in memory after the call was billed. The base
class therefore receives strings: the path or URL of the image, or an empty string.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.schema import ImageType

from voyage_rag.media import Image, Video, media_sources
from voyage_rag.types import InputType


class NamedImage(str):
    """The name of an image.

    Attributes:
        source: The image that was passed.
    """

    __slots__ = ("source",)

    source: Any

    @classmethod
    def of(cls, source: object) -> NamedImage:
        """Return an image under its name, if it has a short one."""
        has_name = isinstance(source, str) and not source.startswith("data:")
        named = cls(source if has_name else "")
        named.source = source
        return named


class MediaEmbedding(MultiModalEmbedding):
    """Methods that embed images, videos and interleaved inputs.

    Attributes:
        image_input_type: The prompt for images. Default: `document`. None for no prompt.
    """

    image_input_type: InputType | None = "document"

    if TYPE_CHECKING:  # for abstract methods, LlamaIndex reports each call as a span

        def _embed_media(
            self, inputs: Sequence[object], input_type: InputType | None
        ) -> list[Embedding]: ...

        async def _aembed_media(
            self, inputs: Sequence[object], input_type: InputType | None
        ) -> list[Embedding]: ...

    def get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        """Embed an image.

        Args:
            img_file_path: A path, URL, bytes, binary file or Pillow image.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        return super().get_image_embedding(NamedImage.of(img_file_path))

    async def aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        """Async variant of `get_image_embedding`."""
        return await super().aget_image_embedding(NamedImage.of(img_file_path))

    def get_image_embedding_batch(
        self, img_file_paths: list[ImageType], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed images in as few requests as possible; see `get_image_embedding`."""
        return super().get_image_embedding_batch(_named(img_file_paths), show_progress)

    async def aget_image_embedding_batch(
        self, img_file_paths: list[ImageType], show_progress: bool = False
    ) -> list[Embedding]:
        """Async variant of `get_image_embedding_batch`."""
        return await super().aget_image_embedding_batch(_named(img_file_paths), show_progress)

    def get_video_embedding(
        self, video_path: object, input_type: InputType | None = "document"
    ) -> Embedding:
        """Embed a video.

        Args:
            video_path: An MP4 video: a path, URL, bytes or binary file.
            input_type: The prompt; None for no prompt.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        return self.get_video_embeddings([video_path], input_type)[0]

    async def aget_video_embedding(
        self, video_path: object, input_type: InputType | None = "document"
    ) -> Embedding:
        """Async variant of `get_video_embedding`."""
        return (await self.aget_video_embeddings([video_path], input_type))[0]

    def get_video_embeddings(
        self, video_paths: Sequence[object], input_type: InputType | None = "document"
    ) -> list[Embedding]:
        """Embed videos in as few requests as possible; see `get_video_embedding`."""
        return self._embed_media(list(map(Video, media_sources(video_paths))), input_type)

    async def aget_video_embeddings(
        self, video_paths: Sequence[object], input_type: InputType | None = "document"
    ) -> list[Embedding]:
        """Async variant of `get_video_embeddings`."""
        return await self._aembed_media(list(map(Video, media_sources(video_paths))), input_type)

    def get_multimodal_embeddings(
        self, inputs: Sequence[object], input_type: InputType | None = "document"
    ) -> list[Embedding]:
        """Embed texts, images and videos, interleaved; see `voyage_rag.Voyage.multimodal_embed`."""
        return self._embed_media(inputs, input_type)

    async def aget_multimodal_embeddings(
        self, inputs: Sequence[object], input_type: InputType | None = "document"
    ) -> list[Embedding]:
        """Async variant of `get_multimodal_embeddings`."""
        return await self._aembed_media(inputs, input_type)

    def _get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return self._get_image_embeddings([img_file_path])[0]

    async def _aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        return (await self._aget_image_embeddings([img_file_path]))[0]

    def _get_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return self._embed_media(_images(img_file_paths), self.image_input_type)

    async def _aget_image_embeddings(self, img_file_paths: list[ImageType]) -> list[Embedding]:
        return await self._aembed_media(_images(img_file_paths), self.image_input_type)


def _named(images: Sequence[object]) -> list[ImageType]:
    return cast("list[ImageType]", list(map(NamedImage.of, media_sources(images))))


def _images(images: Sequence[object]) -> list[Image]:
    return [Image(one.source if isinstance(one, NamedImage) else one) for one in images]
