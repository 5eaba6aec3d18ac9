"""Images under names, for LlamaIndex's handlers.

Its base class tells handlers of images as if they were texts, and its `TokenCountingHandler` raises
where one is a file in memory, after it was paid for. So they are told of strings: the path or URL,
else an empty one.
"""

from __future__ import annotations

from typing import Any, cast

from llama_index.core.base.embeddings.base import Embedding
from llama_index.core.embeddings import MultiModalEmbedding
from llama_index.core.schema import ImageType


class NamedImage(str):
    """The name of an image.

    Attributes:
        source: The image, as it was given.
    """

    __slots__ = ("source",)

    source: Any

    @classmethod
    def of(cls, source: object) -> NamedImage:
        """An image under the name it has, if it has one that is short."""
        has_name = isinstance(source, str) and not source.startswith("data:")
        named = cls(source if has_name else "")
        named.source = source
        return named


def source_of(image: object) -> Any:
    """The image as it was given."""
    return image.source if isinstance(image, NamedImage) else image


class NamesImages(MultiModalEmbedding):
    """Gives its base class names of images, which embeds what `source_of` makes of them."""

    def get_image_embedding(self, img_file_path: ImageType) -> Embedding:
        """Embed an image.

        Args:
            img_file_path: A path, URL, bytes, binary file or Pillow image.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        return super().get_image_embedding(NamedImage.of(img_file_path))

    async def aget_image_embedding(self, img_file_path: ImageType) -> Embedding:
        """Async twin of `get_image_embedding`."""
        return await super().aget_image_embedding(NamedImage.of(img_file_path))

    def get_image_embedding_batch(
        self, img_file_paths: list[ImageType], show_progress: bool = False
    ) -> list[Embedding]:
        """Embed images, as many to a request as it may hold; see `get_image_embedding`."""
        named = cast("list[ImageType]", list(map(NamedImage.of, img_file_paths)))
        return super().get_image_embedding_batch(named, show_progress)

    async def aget_image_embedding_batch(
        self, img_file_paths: list[ImageType], show_progress: bool = False
    ) -> list[Embedding]:
        """Async twin of `get_image_embedding_batch`."""
        named = cast("list[ImageType]", list(map(NamedImage.of, img_file_paths)))
        return await super().aget_image_embedding_batch(named, show_progress)
