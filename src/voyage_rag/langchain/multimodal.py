"""LangChain's embeddings interface for multimodal models."""

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

    All vectors are in one space, so a text finds images and an image finds texts. The class has the
    methods of the class with this name in Voyage's own repository, and `embed_image`, with which
    LangChain's vector stores add images and search by image. It accepts the parameters of
    `VoyageAIEmbeddings` and the following.

    Attributes:
        model: A multimodal model.
        downscale: Scale images down to 2 million pixels, the most that is billed. Requires Pillow.

    Setup:
        Run `pip install 'voyage-rag[langchain,images]'`, and set `VOYAGE_API_KEY`.

    Examples:
        >>> from PIL import Image
        >>> from voyage_rag.langchain import VoyageAIMultimodalEmbeddings
        >>> embeddings = VoyageAIMultimodalEmbeddings(model="voyage-multimodal-3.5")
        >>> image = Image.new("RGB", (64, 64), "red")
        >>> vectors = embeddings.embed_multimodal([[image], ["A caption", image]])
        >>> len(vectors), len(vectors[0])
        (2, 1024)
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
        """Check that the model is a multimodal one, and that the object can connect.

        Raises:
            ConfigurationError: The model is not a multimodal one, there is no key, or a setting is
                invalid.
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
        """Embed inputs in the format of Voyage's API reference.

        Args:
            inputs: One dictionary per vector: `{"content": [{"type": "text", "text": ...}, ...]}`.
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
        """Embed images. LangChain's vector stores call this method.

        Args:
            uris: Paths, `file://`, http(s) or data URLs, bytes and Pillow images. A single path is
                treated as a list of one.

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
        """An alias of `embed_image`."""
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
            "invalid_text": self.invalid_text,
            "show_progress_bar": self.show_progress_bar,
        }
