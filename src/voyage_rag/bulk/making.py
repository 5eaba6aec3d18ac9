"""The output of each format, opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voyage_rag.bulk import one_file, tables
from voyage_rag.bulk.one_file import OneFile
from voyage_rag.bulk.part_files import PartFiles

if TYPE_CHECKING:
    from pathlib import Path

    from voyage_rag.bulk.folder import JobFolder
    from voyage_rag.bulk.outputs import Output, OutputFormat
    from voyage_rag.bulk.tables import Shape


def open_output(form: OutputFormat, path: Path, folder: JobFolder, shape: Shape) -> Output:
    """What the job makes, as far as it is made.

    Raises:
        ImportError: It needs numpy, and that is not installed.
    """
    match form:
        case "dataset":
            return PartFiles(path, folder, shape)
        case "parquet":
            return OneFile(path, folder, shape, tables.parquet)
        case "jsonl":
            return OneFile(path, folder, shape, one_file.json_lines)
        case "npy":
            one_file.numpy()
            return OneFile(path, folder, shape, one_file.matrix)
