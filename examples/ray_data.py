"""A dataset embedded by Ray, on this machine or on a cluster.

    pip install 'voyage-rag[ray,emulator]'
    python examples/ray_data.py

Without VOYAGE_API_KEY, an emulator on this machine responds. Its vectors are not Voyage's. On
a cluster, set the key in the environment of every node (or `api_key_path` to a file there), install
`voyage-rag[ray]` everywhere, and submit the script: `ray job submit -- python ray_data.py`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import ray

from voyage_rag.bulk.ray import embed

PASSAGES = 2_000


def main() -> None:
    """Embed some passages with two actors that share the account's limits, and write Parquet."""
    with ExitStack() as exits:
        options = {}
        if not os.environ.get("VOYAGE_API_KEY"):
            from voyage_rag.emulator import Emulator  # noqa: PLC0415 - only without a key

            os.environ["VOYAGE_API_KEY"] = "pa-the-emulator-takes-any-key"
            exits.callback(os.environ.pop, "VOYAGE_API_KEY")
            options["base_url"] = exits.enter_context(Emulator())
            sys.stdout.write("An emulator responds. Its vectors are not Voyage's.\n")
        if not ray.is_initialized():
            ray.init()  # or, on a cluster, what RAY_ADDRESS names
            exits.callback(ray.shutdown)
        texts = [f"Passage {number} of the handbook." for number in range(PASSAGES)]
        passages = ray.data.from_arrow(pa.table({"id": range(PASSAGES), "text": texts}))
        vectors = embed(
            passages,
            "text",
            model="voyage-4",
            actors=2,
            rows_per_call=250,
            output_dimension=256,
            output_dtype="int8",
            tokens_per_minute=8_000_000,  # the account's: all actors together keep to it
            **options,
        )
        folder = exits.enter_context(tempfile.TemporaryDirectory())
        vectors.write_parquet(folder)
        files = len(list(Path(folder).glob("*.parquet")))
        written = ray.data.read_parquet(folder).count()
        sys.stdout.write(f"{written:,} vectors in {files} files\n")


if __name__ == "__main__":
    main()
