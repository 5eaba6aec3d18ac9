"""Ray Data: embed a column of a dataset with actors that share the limits of one account.

    import ray
    from voyage_rag.bulk.ray import embed

    passages = ray.data.read_parquet("s3://corpus/passages/")
    embed(passages, "text", model="voyage-4", actors=8).write_parquet("s3://corpus/vectors/")

Requires `pip install 'voyage-rag[ray]'` on every node. The key is never sent through Ray, whose
dashboard and logs show arguments: each worker reads it from `VOYAGE_API_KEY` or from a local file
(`api_key_path`).
"""

from __future__ import annotations

from inspect import signature
from math import floor
from typing import Any, cast, get_args

from voyage_rag.bulk.shared_limiter import NAMESPACE, LimiterActor, SharedRateLimiter
from voyage_rag.bulk.writers import NUMBERS
from voyage_rag.client import Voyage
from voyage_rag.core import validation
from voyage_rag.core.context import budgets_of
from voyage_rag.io.clock import SYSTEM_CLOCK
from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.arrow_files import pa
from voyage_rag.models import OutputDtype
from voyage_rag.settings import Settings
from voyage_rag.types import EmptyText, InputType

try:
    import ray
    import ray.data
except ImportError as error:
    raise ImportError("voyage_rag.bulk.ray needs Ray: pip install 'voyage-rag[ray]'") from error

ROWS_PER_CALL = 8_192
"""Rows per call: 32 MiB at 1,024 floats per row."""
CONCURRENT_CALLS = 2
"""Concurrent calls per actor: requests of the next batch are sent while the last responses of the
current one arrive.
"""

EXACT_BLOCKS: dict[str, Any] = (
    {"strict": True} if "strict" in signature(ray.data.Dataset.repartition).parameters else {}
)
"""Makes Ray split and merge blocks to exactly the given number of rows. Older versions do so
without this option, but leave some blocks slightly larger.
"""


class Embedder:
    """Embeds a column of Arrow batches. `Dataset.map_batches` creates one object per actor.

        dataset.map_batches(
            Embedder,
            fn_constructor_kwargs={"column": "text", "model": "voyage-4"},
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(size=4),
        )

    Args:
        column: The column with the text.
        model: An embedding model, such as `voyage-4`.
        output_column: The column for the vectors: fixed-size lists of float32, int8 or uint8.
        input_type: The prompt: `document`, `query` or None.
        truncation: Truncate texts to the model's context. False raises an error for longer texts.
        empty_text: How to treat empty strings. `error` raises an error, `zeros` returns zero
            vectors.
        output_dimension: Length of the vectors, if the model supports several.
        output_dtype: `float`, `int8`, `uint8`, or `binary`/`ubinary`, which pack eight dimensions
            into one number.
        share_limits: Share the rate limits with all actors of the cluster that use the same key,
            host and model. Otherwise each actor has its own limits, and together they exceed those
            of the account.
        settings: Arguments of `Voyage` without the key: `requests_per_minute`, `base_url` and
            others.

    Raises:
        JobError: A key was passed, the column does not exist, or the output column exists.
        ConfigurationError: The worker finds no key.
    """

    def __init__(
        self,
        column: str,
        model: str,
        *,
        output_column: str = "embedding",
        input_type: InputType | None = "document",
        truncation: bool = True,
        empty_text: EmptyText = "error",
        output_dimension: int | None = None,
        output_dtype: OutputDtype = "float",
        share_limits: bool = True,
        **settings: Any,
    ) -> None:
        _refuse_key(settings)
        self.voyage: Voyage = Voyage(**settings)
        if share_limits:
            share(self.voyage.settings, model)
        self._column = column
        self._output_column = output_column
        self._dtype = output_dtype
        self._options: dict[str, Any] = {
            "model": model,
            "input_type": input_type,
            "truncation": truncation,
            "empty_text": empty_text,
            "output_dimension": output_dimension,
            "output_dtype": output_dtype,
        }

    def __call__(self, batch: Any) -> Any:
        """Return the batch, an Arrow table, with an additional column."""
        if self._column not in batch.column_names:
            raise JobError(
                f"there is no column {self._column!r}; the columns are {batch.column_names}"
            )
        if self._output_column in batch.column_names:
            raise JobError(
                f"the column {self._output_column!r} exists: drop it, or pass another output_column"
            )
        texts = batch.column(self._column).to_pylist()
        vectors = self.voyage.embed(texts, **self._options).vectors
        length = len(vectors[0])  # Ray never passes an empty batch
        numbers = pa.Array.from_buffers(
            NUMBERS[self._dtype], len(vectors) * length, [None, pa.py_buffer(b"".join(vectors))]
        )
        column = pa.FixedSizeListArray.from_arrays(numbers, length)
        return batch.append_column(self._output_column, column)


def embed(
    dataset: ray.data.Dataset,
    column: str = "text",
    *,
    model: str,
    actors: int | tuple[int, int] = 2,
    cpus_per_actor: float | None = None,
    rows_per_call: int = ROWS_PER_CALL,
    **options: Any,
) -> ray.data.Dataset:
    """Embed a column of a dataset lazily, like all operations of Ray Data.

    The dataset is first divided into blocks of `rows_per_call` rows, so that every actor has work.
    The client retries requests. If a worker dies, Ray starts another one and passes it the
    unfinished blocks: at most two blocks are paid twice, and nothing is lost. Equal texts are sent
    once per block.

    Args:
        dataset: The dataset.
        column: The column with the text.
        model: An embedding model.
        actors: Number of actors, or a tuple of the minimum and the maximum.
        cpus_per_actor: CPUs that Ray reserves per actor. Default: one, or less if reading and
            writing would have none left.
        rows_per_call: Rows per block, which is passed to an actor at once.
        options: Other arguments of `Embedder`; `concurrency` is the number of concurrent requests
            per call.

    Returns:
        The dataset with an additional column (`output_column`, by default `embedding`).

    Raises:
        JobError: A key is among the options, the minimum of `actors` exceeds its maximum, or the
            actors would leave no CPU to read and write, so that the job would never end.
        InvalidInputError: The model does not support an option, or a number is too small.
        ConfigurationError: An option of `Voyage` cannot be used.
        TypeError: Neither `Embedder` nor `Voyage` has the option.
    """
    _refuse_key(options)
    _check_settings(options)
    row = validation.check_embedding_model(model)
    validation.check_output(row, options.get("output_dimension"), options.get("output_dtype"))
    validation.check_choice("empty_text", options.get("empty_text", "error"), get_args(EmptyText))
    validation.check_count("rows_per_call", rows_per_call)
    fewest, most = actors if isinstance(actors, tuple) else (actors, actors)
    validation.check_count("actors", fewest)
    if fewest > most:
        raise JobError(f"actors must be a number or (minimum, maximum), not {actors!r}")
    blocks = dataset.repartition(target_num_rows_per_block=rows_per_call, **EXACT_BLOCKS)
    return blocks.map_batches(
        cast("Any", Embedder),
        fn_constructor_kwargs={"column": column, "model": model, **options},
        batch_size=rows_per_call,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(
            min_size=fewest, max_size=most, max_tasks_in_flight_per_actor=2 * CONCURRENT_CALLS
        ),
        num_cpus=_cpus_per_actor(fewest, cpus_per_actor),
        max_concurrency=CONCURRENT_CALLS,
        max_restarts=-1,
        max_task_retries=-1,
    )


def _cpus_per_actor(actors: int, given: float | None) -> float:
    """Return the CPUs per actor that leave one for the tasks that read and write."""
    if not ray.is_initialized():
        return 1.0 if given is None else given
    untyped: Any = ray
    total = float(untyped.cluster_resources().get("CPU", 0.0))
    free = max(total - 1, total / 2)
    if given is None:
        return min(1.0, floor(100 * free / actors) / 100)
    if actors * given > free:
        raise JobError(
            f"{actors} actors of {given:g} CPUs leave none of the cluster's {total:g} CPUs for "
            "reading and writing, so Ray would wait forever: omit cpus_per_actor, or use fewer "
            "actors (or a range, as in actors=(1, 8), on a cluster that scales)"
        )
    return given


def share(settings: Settings, model: str) -> None:
    """Make all clients of this process share the rate limits of a model with the whole cluster.

    The name of the actor that holds them consists of the address, the model and a fingerprint of
    the key. The actor exists until the cluster or `ray.kill` ends it.
    """
    account = settings.host.account
    actor = (
        ray.remote(LimiterActor)
        .options(
            name=" ".join((*account, model)),
            namespace=NAMESPACE,
            get_if_exists=True,
            lifetime="detached",
            num_cpus=0,
            max_restarts=-1,
            max_task_retries=-1,
        )
        .remote()
    )
    now = SYSTEM_CLOCK.now
    budgets_of(account, now).share(model, SharedRateLimiter(now, actor, ray.get))


def _check_settings(options: dict[str, Any]) -> None:
    """Check the settings here, because workers take seconds to start."""
    not_checked = {*signature(Embedder).parameters, "api_key_path", "cache", "tokenizer"}
    settings = {name: value for name, value in options.items() if name not in not_checked}
    Voyage("pa-key-of-the-nodes", **settings).close()


def _refuse_key(settings: dict[str, Any]) -> None:
    if "api_key" in settings:
        raise JobError(
            "api_key cannot be sent through Ray, which shows arguments: set VOYAGE_API_KEY on "
            "every node, or pass api_key_path with a file on every node"
        )
