"""Voyage's multimodal embeddings under LangChain's names and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from pydantic import SecretStr

from voyage_rag.construction import constructor
from voyage_rag.errors import ConfigurationError
from voyage_rag.langchain.embeddings import VoyageAIEmbeddings
from voyage_rag.langchain.parameters import EmbeddingParameters
from voyage_rag.media import Image, media_sources
from voyage_rag.models import kind_of
from voyage_rag.types import InputType


class VoyageAIMultimodalEmbeddings(VoyageAIEmbeddings):
    """Voyage AI embeddings of texts, images and videos for LangChain.

    A text finds images and an image finds texts, since all are in one space. Has the methods of
    the class of this name in Voyage's own repository, and `embed_image`, by which LangChain's
    vector stores add images and search by image. Takes the parameters of `VoyageAIEmbeddings` and:

    Attributes:
        model: A multimodal model.
        downscale: Reduce images to the 2 million pixels that are counted at most (needs Pillow).
    """

    model: str = "voyage-multimodal-3.5"
    downscale: bool = False

    @constructor
    def __init__(
        self,
        model: str = "voyage-multimodal-3.5",
        *,
        api_key: str | SecretStr | None = None,
        downscale: bool = False,
        **parameters: Unpack[EmbeddingParameters],
    ) -> None:
        fields: dict[str, Any] = {"downscale": downscale, **parameters}
        super().__init__(model, api_key=api_key, **fields)

    def connect(self) -> None:
        """Check that the model is one of these, and that the object can connect.

        Raises:
            ConfigurationError: It is not, or there is no key, or a setting cannot work.
        """
        if kind_of(self.model) != "multimodal":
            raise ConfigurationError(
                f"{self.model!r} embeds texts only: use voyage-multimodal-3.5, or "
                "VoyageAIEmbeddings"
            )
        super().connect()

    def embed_multimodal(
        self, inputs: Sequence[object], input_type: InputType | None = "document"
    ) -> list[list[float]]:
        """Embed texts, images and videos, interleaved.

        Args:
            inputs: One list per vector; see `voyage_rag.Voyage.multimodal_embed`.
            input_type: The prompt: `document`, `query` or None.

        Returns:
            One vector per input, in order.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        found = self.voyage.multimodal_embed(inputs, **self._media_options(input_type))
        return self._floats(found.embeddings)

    async def aembed_multimodal(
        self, inputs: Sequence[object], input_type: InputType | None = "document"
    ) -> list[list[float]]:
        """Async variant of `embed_multimodal`."""
        options = self._media_options(input_type)
        found = await self.voyage.amultimodal_embed(inputs, **options)
        return self._floats(found.embeddings)

    def embed_multimodal_from_dicts(
        self, inputs: Sequence[Mapping[str, Any]], input_type: InputType | None = "document"
    ) -> list[list[float]]:
        """The same for inputs as Voyage's API reference writes them.

        Args:
            inputs: `{"content": [{"type": "text", "text": ...}, ...]}`, one per vector.
            input_type: The prompt: `document`, `query` or None.

        Returns:
            One vector per input, in order.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        return self.embed_multimodal(inputs, input_type)

    async def aembed_multimodal_from_dicts(
        self, inputs: Sequence[Mapping[str, Any]], input_type: InputType | None = "document"
    ) -> list[list[float]]:
        """Async variant of `embed_multimodal_from_dicts`."""
        return await self.aembed_multimodal(inputs, input_type)

    def embed_image(self, uris: Sequence[object]) -> list[list[float]]:
        """Embed images, under the name that LangChain's vector stores look for.

        Args:
            uris: Paths, `file://`, http(s) or data URLs, bytes and images of Pillow's. A path by
                itself is a list of one.

        Returns:
            One vector per image, in order.

        Raises:
            VoyageError: See `voyage_rag.Voyage.multimodal_embed`.
        """
        return self.embed_multimodal(
            list(map(Image, media_sources(uris))), self.document_input_type
        )

    async def aembed_image(self, uris: Sequence[object]) -> list[list[float]]:
        """Async variant of `embed_image`."""
        images = list(map(Image, media_sources(uris)))
        return await self.aembed_multimodal(images, self.document_input_type)

    def embed_images(self, uris: Sequence[object]) -> list[list[float]]:
        """`embed_image` by its other name."""
        return self.embed_image(uris)

    async def aembed_images(self, uris: Sequence[object]) -> list[list[float]]:
        """Async variant of `embed_images`."""
        return await self.aembed_image(uris)

    def _media_options(self, input_type: InputType | None) -> dict[str, Any]:
        return {
            "model": self.model,
            "input_type": input_type,
            "truncation": self.truncation,
            "output_dimension": self.output_dimension,
            "output_dtype": self.output_dtype,
            "downscale": self.downscale,
            "show_progress_bar": self.show_progress_bar,
        }
