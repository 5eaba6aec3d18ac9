"""A model in this process, computed by sentence-transformers: voyage-4-nano or any other.

Voyage's open weights share the embedding space of the voyage-4 models, so queries can be embedded
here and documents by the service. Source: the model's card, `voyageai/voyage-4-nano`.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from voyage_rag.errors import ConfigurationError, InvalidInputError, UnexpectedAnswerError
from voyage_rag.hosts.conversion import PROMPTS, checked_batch_size, checked_prompts, dimension_of
from voyage_rag.hosts.host import InProcessHost
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.hosts.openai_compatible import require_local_dtype

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer
else:
    SentenceTransformer = Any  # imported when the model is loaded

LOG = logging.getLogger("voyage_rag")

ADDRESS = "http://localhost"
"""The address of a model in this process, for events that name a host. Nothing connects to it."""


class Local(InProcessHost):
    """A model in this process, computed by sentence-transformers.

    The model is loaded by the first call or by `load`, once for all threads and event loops. Texts
    are computed in the caller's thread, or for async calls in a worker thread.

    Args:
        source: A folder, or a model name on the Hugging Face Hub such as `voyageai/voyage-4-nano`,
            which is downloaded once and then cached, also for offline use.
        model: The name of the model in calls. Default: the last part of `source`.
        device: `cpu`, `cuda`, `mps` or another device. Default: chosen by sentence-transformers.
        batch_size: Number of texts to compute at once.
        prompts: The prompt to put before a text for each `input_type`. Default: Voyage's prompts.
        trust_remote_code: Run the model's own code, which voyage-4-nano requires.
        options: Other arguments of `SentenceTransformer`, such as `model_kwargs`.

    Raises:
        ConfigurationError: `source` is a path, and the folder does not exist.

    Setup:
        Run `pip install 'voyage-rag[local]'`. No key is needed.

    Examples:
        >>> from voyage_rag import Voyage
        >>> from voyage_rag.hosts import Local
        >>> Voyage(host=Local("voyageai/voyage-4-nano"))  # loads the model on first use
        Voyage(host=Local('voyageai/voyage-4-nano'))
    """

    name = "the model in this process"
    endpoints: ClassVar[frozenset[str] | None] = frozenset({"/embeddings"})
    fields: ClassVar[frozenset[str] | None] = frozenset(
        {"input", "model", "input_type", "output_dimension", "output_dtype"}
    )

    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        model: str | None = None,
        device: str | None = None,
        batch_size: int = 32,
        prompts: Mapping[str, str] = PROMPTS,
        trust_remote_code: bool = True,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(ADDRESS)
        self.source: str = _checked_source(source)
        self.model: str = model or Path(self.source).name
        self.device = device
        self.batch_size: int = checked_batch_size(batch_size)
        self.prompts: Mapping[str, str] = checked_prompts(prompts)
        self._options = {"trust_remote_code": trust_remote_code, **(options or {})}
        self._loaded: SentenceTransformer | None = None
        self._lock = threading.Lock()

    @property
    def account(self) -> tuple[str, str]:
        """A model in this process shares no rate limit."""
        return "in this process", self.source

    @property
    def cache_scope(self) -> str:
        """The source and the prompts, because the vectors depend on them."""
        prompts = "" if self.prompts == PROMPTS else repr(sorted(self.prompts.items()))
        return f"local:{self.source}{prompts}"

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Raise an `InvalidInputError` for an endpoint, model or number type of another kind."""
        super().require(endpoint, fields)
        fields = fields or {}
        if fields.get("model") not in {None, self.model, self.source}:
            raise InvalidInputError(
                f"this host has the model {self.model!r}, not {fields['model']!r}: pass "
                f"model={self.model!r}"
            )
        require_local_dtype(self.name, fields.get("output_dtype"))

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - not sent
        """Return nothing: `respond` reads the fields of the request."""
        return b""

    def load(self) -> SentenceTransformer:
        """Load the model, unless it is already loaded.

        Raises:
            ConfigurationError: sentence-transformers is not installed, or the model does not exist.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def respond(self, request: Request) -> Response:
        """Embed the texts of a request."""
        fields = request.fields
        prompt = self.prompts.get(fields.get("input_type") or "", "")
        dimension = dimension_of(self.model, fields.get("output_dimension"))
        model = self.load()
        if dimension is not None and dimension > (available := _dimension(model) or dimension):
            raise InvalidInputError(
                f"{self.model!r} has {available} dimensions: output_dimension can be up to "
                f"{available}, not {dimension}"
            )
        with self._lock:
            vectors = model.encode(
                fields["input"],
                prompt=prompt or None,
                batch_size=self.batch_size,
                show_progress_bar=False,
                truncate_dim=dimension,
                normalize_embeddings=True,
            )
        dtype = fields.get("output_dtype") or "float"
        data = [
            {"index": index, "embedding": base64.b64encode(row.tobytes()).decode()}
            for index, row in enumerate(_quantised(vectors, dtype))
        ]
        document = {"data": data, "model": self.model, "usage": {"total_tokens": 0}}
        return Response(200, {}, json.dumps(document).encode())

    def _load(self) -> SentenceTransformer:
        try:
            from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - of an extra
        except ImportError:
            raise ConfigurationError(
                "Local needs sentence-transformers: pip install 'voyage-rag[local]'"
            ) from None
        LOG.info("loading %s", self.source)
        began = time.perf_counter()
        try:
            model = SentenceTransformer(self.source, device=self.device, **self._options)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"the model {self.source!r} cannot be loaded: {_first_line(error)} (to download a "
                "model from the Hub, connect to the network and unset HF_HUB_OFFLINE)"
            ) from error
        LOG.info(
            "loaded %s on %s in %.1f s", self.source, model.device, time.perf_counter() - began
        )
        return model

    def __repr__(self) -> str:
        return f"Local({getattr(self, 'source', '')!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in UNSHARED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _loaded=None, _lock=threading.Lock())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Local) and self.__getstate__() == other.__getstate__()

    __hash__ = InProcessHost.__hash__


UNSHARED = ("_loaded", "_lock")
"""State that a worker process does not receive, because it loads the model itself."""


def _checked_source(source: str | os.PathLike[str]) -> str:
    path = Path(source).expanduser()
    text = os.fspath(source)
    if text.strip() and path.is_dir():
        return str(path)
    if not isinstance(source, str) or text.startswith((".", "~")) or path.is_absolute():
        raise ConfigurationError(f"the folder {text!r} does not exist")
    if text.count("/") > 1 or not text.strip():
        raise ConfigurationError(
            f"{text!r} is neither a folder nor the name of a model on the Hub, such as "
            "'voyageai/voyage-4-nano'"
        )
    return text


def _dimension(model: SentenceTransformer) -> int | None:
    get = getattr(model, "get_embedding_dimension", None)  # of version 5.4 and later
    dimension: int | None = get() if get else model.get_sentence_embedding_dimension()
    return dimension


def _quantised(vectors: np.ndarray, dtype: str) -> np.ndarray:
    """Return little-endian floats, or signs: eight per byte, the first one in the highest bit."""
    import numpy as np  # noqa: PLC0415 - comes with sentence-transformers

    if dtype == "float":
        return np.ascontiguousarray(vectors, dtype="<f4")
    if not np.isfinite(vectors).all():
        raise UnexpectedAnswerError("an embedding contains numbers that are not finite")
    packed = np.packbits(vectors > 0, axis=1)
    return packed ^ np.uint8(0x80) if dtype == "binary" else packed


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
