"""A model in this process, computed by sentence-transformers: voyage-4-nano, or any other.

Voyage's open weights share the space of the voyage-4 models, so queries may be embedded here and
documents by the service. Source: the model's card, `voyageai/voyage-4-nano`.
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

from voyage_rag.errors import ConfigurationError, InvalidInputError
from voyage_rag.hosts.host import InProcessHost
from voyage_rag.hosts.messages import Request, Response
from voyage_rag.hosts.numbers import PROMPTS, dimension_of
from voyage_rag.hosts.openai_compatible import require_local_dtype

if TYPE_CHECKING:
    import numpy as np
    from sentence_transformers import SentenceTransformer

LOG = logging.getLogger("voyage_rag")

ADDRESS = "http://localhost"
"""Where a model in this process is, for events that name a host; nothing connects to it."""


class Local(InProcessHost):
    """A model in this process. Needs `pip install 'voyage-rag[local]'`.

    The model is loaded with the first call, or by `load`, once for all threads and event loops.
    Texts are computed in the caller's thread, or for async calls in a worker thread.

    Args:
        source: A folder, or a name at the Hugging Face Hub such as `voyageai/voyage-4-nano`, which
            is downloaded once and then found in its cache, also offline.
        model: What calls name it; the last part of `source` unless given.
        device: `cpu`, `cuda`, `mps`, ...; chosen by sentence-transformers unless given.
        batch_size: Texts that are computed at once.
        prompts: What to put before a text by its `input_type`; Voyage's prompts unless given.
        trust_remote_code: Let the model's own code run, which voyage-4-nano needs.
        options: Other arguments of `SentenceTransformer`, such as `model_kwargs`.

    Raises:
        ConfigurationError: `source` is written as a folder, and there is none.
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
        if batch_size < 1:
            raise ConfigurationError(f"batch_size must be at least 1, not {batch_size}")
        self.source: str = _checked_source(source)
        self.model: str = model or Path(self.source).name
        self.device = device
        self.batch_size = batch_size
        self.prompts: dict[str, str] = dict(prompts)
        self._options = {"trust_remote_code": trust_remote_code, **(options or {})}
        self._loaded: SentenceTransformer | None = None
        self._lock = threading.Lock()

    @property
    def account(self) -> tuple[str, str]:
        """No limit is shared with anything else."""
        return "in this process", self.source

    @property
    def cache_scope(self) -> str:
        """The source and the prompts, which the vectors depend on."""
        prompts = "" if self.prompts == PROMPTS else repr(sorted(self.prompts.items()))
        return f"local:{self.source}{prompts}"

    def require(self, endpoint: str, fields: Mapping[str, Any] | None = None) -> None:
        """Refuse what this model does not do.

        Raises:
            InvalidInputError: It is another endpoint, model or number type.
        """
        super().require(endpoint, fields)
        fields = fields or {}
        if fields.get("model") not in {None, self.model, self.source}:
            raise InvalidInputError(
                f"{self.name} is {self.model!r}, not {fields['model']!r}: pass model={self.model!r}"
            )
        require_local_dtype(self.name, fields.get("output_dtype"))

    def encode(self, endpoint: str, fields: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - not sent
        """Nothing: `respond` reads the fields of the request."""
        return b""

    def load(self) -> SentenceTransformer:
        """Load the model, unless it is loaded.

        Raises:
            ConfigurationError: sentence-transformers is missing, or the model is not there.
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
                f"{self.model!r} has {available} dimensions, not output_dimension={dimension}"
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
                "a model in this process needs sentence-transformers: "
                "pip install 'voyage-rag[local]'"
            ) from None
        LOG.info("loading %s", self.source)
        began = time.perf_counter()
        try:
            model = SentenceTransformer(self.source, device=self.device, **self._options)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigurationError(
                f"the model {self.source!r} cannot be loaded: {_first_line(error)} (a name of the "
                "Hub is downloaded once, which needs the network and HF_HUB_OFFLINE unset)"
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
"""What a worker process makes anew: it loads the model itself."""


def _checked_source(source: str | os.PathLike[str]) -> str:
    path = Path(source).expanduser()
    text = os.fspath(source)
    if text.strip() and path.is_dir():
        return str(path)
    if not isinstance(source, str) or text.startswith((".", "~")) or path.is_absolute():
        raise ConfigurationError(f"there is no folder {text!r} with a model")
    if text.count("/") > 1 or not text.strip():
        raise ConfigurationError(
            f"{text!r} is neither a folder nor a model's name at the Hub, e.g. "
            "'voyageai/voyage-4-nano'"
        )
    return text


def _dimension(model: SentenceTransformer) -> int | None:
    get = getattr(model, "get_embedding_dimension", None)  # of version 5.4 and later
    dimension: int | None = get() if get else model.get_sentence_embedding_dimension()
    return dimension


def _quantised(vectors: np.ndarray, dtype: str) -> np.ndarray:
    """Little-endian floats, or signs: eight in a byte, the first dimension in the highest bit."""
    import numpy as np  # noqa: PLC0415 - comes with sentence-transformers

    if dtype == "float":
        return np.ascontiguousarray(vectors, dtype="<f4")
    packed = np.packbits(vectors > 0, axis=1)
    return packed ^ np.uint8(0x80) if dtype == "binary" else packed


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
