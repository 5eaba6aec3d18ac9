"""Embedding texts, images and videos, alone or interleaved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from voyage_rag.client.session import Session
from voyage_rag.core import multimodal
from voyage_rag.io.media import READER
from voyage_rag.io.tasks import run_in_thread
from voyage_rag.progress import NO_PROGRESS, progress_bar
from voyage_rag.types import InputType, MultimodalEmbeddingsObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.models import OutputDtype


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
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Embed texts, images and videos, alone or interleaved.

        Images in PNG, JPEG, WEBP and GIF are sent as they are, and so are videos in MP4. Other
        formats, and images of Pillow's that were changed since they were opened, are encoded
        again (Pillow: the extra `images`). Files are read when their request is made, so that a
        folder of any size can be embedded. Limits are checked before anything is sent: 20 MB and 16
        million pixels an image, 20 MB a video, video only for a model that takes it.

        Args:
            inputs: One list per vector, of texts, images and videos in any order; a single one need
                not be in a list. A string is a text, unless it is a data URL; `Image(...)` and
                `Video(...)` declare any string as a URL or path. A `pathlib.Path`, bytes or a
                binary file is an image or a video, by its first bytes; so is an image of Pillow's.
                Or dictionaries as in Voyage's API reference:
                `{"content": [{"type": "text", "text": ...}, ...]}`.
            model: A multimodal model (docs: "Multimodal Embeddings").
            input_type: `query` for what is searched with, `document` for what is searched, None for
                neither prompt.
            truncation: Cut inputs to the model's context, leaving out images that are beyond it;
                False refuses longer ones.
            output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight
                dimensions into one number.
            output_dimension: Length of the vectors, where the model offers several.
            downscale: Reduce images to the 2 million pixels that are counted at most: less to send,
                for the same bill. Needs Pillow.
            show_progress_bar: Show a tqdm bar that counts inputs.

        Returns:
            One vector per input, in order; tokens and pixels billed.

        Raises:
            InvalidInputError: An input cannot be embedded; it is named, and nothing was sent.
            VoyageError: The service did not return a usable response (see `voyage_rag.errors`);
                the error carries what was finished as `partial`.
        """
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as advance:
            call = multimodal.prepare(
                self.context,
                advance,
                READER,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                downscale=downscale,
            )
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
        show_progress_bar: bool = False,
    ) -> MultimodalEmbeddingsObject:
        """Async variant of `multimodal_embed`. Files are read and encoded in threads."""
        with progress_bar(inputs) if show_progress_bar else NO_PROGRESS as advance:
            call = multimodal.prepare(
                self.context,
                advance,
                READER,
                model,
                input_type,
                truncation,
                output_dtype,
                output_dimension,
                downscale=downscale,
            )
            operation = await run_in_thread(partial(multimodal.embed, call, inputs))
            return await self.driver.arun(operation)

    def count_usage(self, inputs: Sequence[object], model: str) -> dict[str, int]:
        """What multimodal inputs will cost, before anything is sent.

        Args:
            inputs: As for `multimodal_embed`, without URLs, whose size is not known.
            model: A multimodal model.

        Returns:
            `text_tokens`, at an estimate that errs high unless there is a tokenizer;
            `image_pixels` and `video_pixels` as they are counted; `total_tokens`.

        Raises:
            InvalidInputError: An input cannot be embedded, or its size cannot be determined.
        """
        call = multimodal.prepare(self.context, None, READER, model)
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
