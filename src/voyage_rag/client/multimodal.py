"""Embed texts, images and videos, alone or interleaved."""

from collections.abc import Sequence
from functools import partial

from voyage_rag.client.session import Session
from voyage_rag.core import multimodal
from voyage_rag.io.media import READER
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.models import OutputDtype
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import InputType, InvalidText, MultimodalEmbeddingsObject


class MultimodalVerbs(Session):
    """`multimodal_embed` and `count_usage`."""

    def multimodal_embed(
        self,
        inputs: Sequence[object],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        downscale: bool = False,
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Embed texts, images and videos, alone or interleaved.

        Images in PNG, JPEG, WEBP and GIF and videos in MP4 are sent without conversion. Images in
        other formats, and Pillow images that were modified after opening, are encoded again (extra:
        `images`). Files are read when their request is sent, so a folder can be larger than memory.
        Equal inputs are sent once.
        Checked before anything is sent: at most 20 MB and 16 million pixels per image, at most
        20 MB per video, and whether the model supports video.

        Args:
            inputs: One list per vector, of texts, images and videos in any order. A single item
                needs no list. A string is a text, unless it is a data URL; wrap a URL or path in
                `Image(...)` or `Video(...)`. A `pathlib.Path`, bytes or a binary file is an image
                or a video, depending on its first bytes; a Pillow image is an image. Alternatively,
                dictionaries as in Voyage's API reference: `{"content": [{"type": "text", "text":
                ...}, ...]}`.
            model: A multimodal model, such as `voyage-multimodal-3.5`.
            input_type: `query` for search queries, `document` for the content to search, or None
                for no prompt.
            truncation: Truncate inputs to the model's context and omit images beyond it. False
                raises an error for longer inputs.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, if the model supports several.
            downscale: Scale images down to 2 million pixels, the most that is billed. This reduces
                the upload, not the price. Requires Pillow.
            invalid_text: As for `embed`.
            show_progress_bar: Show a tqdm bar that counts inputs.

        Returns:
            One vector per input, in order, and the tokens and pixels billed.

        Raises:
            InvalidInputError: An input cannot be embedded. The message names the first, and the
                attribute `indices` has the positions of all. Nothing was sent.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`). The
                attribute `partial` of the error contains the finished vectors.
        """
        given = input_type, truncation, output_dtype, output_dimension
        call = multimodal.prepare(
            self.context, READER, model, *given, downscale=downscale, invalid_text=invalid_text
        )
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as call.progress:
            return self.driver.run(multimodal.embed(call, inputs))

    async def amultimodal_embed(
        self,
        inputs: Sequence[object],
        model: str,
        input_type: InputType | None = None,
        truncation: bool = True,
        output_dtype: OutputDtype | None = None,
        output_dimension: int | None = None,
        *,
        downscale: bool = False,
        invalid_text: InvalidText = "error",
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Async variant of `multimodal_embed`. Worker threads read and encode files."""
        given = input_type, truncation, output_dtype, output_dimension
        call = multimodal.prepare(
            self.context, READER, model, *given, downscale=downscale, invalid_text=invalid_text
        )
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as call.progress:
            operation = await run_in_thread(partial(multimodal.embed, call, inputs))
            return await self.driver.arun(operation)

    def count_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """Count the tokens and pixels of multimodal inputs without sending them.

        Args:
            inputs: As for `multimodal_embed`, but without URLs, whose content is not downloaded.
            model: A multimodal model.

        Returns:
            `text_tokens` (a conservative estimate, unless a tokenizer is set), `image_pixels`,
            `video_pixels` and `total_tokens`.

        Raises:
            InvalidInputError: An input cannot be embedded, or its size cannot be determined.
        """
        call = multimodal.prepare(self.context, READER, model)
        usage = multimodal.count(call, inputs)
        return {
            "text_tokens": usage.text_tokens,
            "image_pixels": usage.image_pixels,
            "video_pixels": usage.video_pixels,
            "total_tokens": usage.total_tokens,
        }

    async def acount_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """Async variant of `count_usage`."""
        return await run_in_thread(partial(self.count_usage, inputs, model))
