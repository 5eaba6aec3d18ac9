"""Embed files and folders of any size, in jobs that can be interrupted and resumed.

    from voyage_rag.bulk import embed_file

    embed_file("passages.parquet", "vectors.parquet", model="voyage-4")

Requires `pip install 'voyage-rag[bulk]'`.
"""

from voyage_rag.bulk.estimate import Estimate
from voyage_rag.bulk.job import EmbeddingJob, aembed_file, embed_file
from voyage_rag.bulk.options import JobOptions
from voyage_rag.bulk.progress import JobProgress, JobReport
from voyage_rag.jobs.errors import BadRowsError, JobError

__all__ = [
    "BadRowsError",
    "EmbeddingJob",
    "Estimate",
    "JobError",
    "JobOptions",
    "JobProgress",
    "JobReport",
    "aembed_file",
    "embed_file",
]
