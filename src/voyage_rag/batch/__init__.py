"""Jobs with Voyage's Batch API, which takes up to twelve hours and costs a third less.

    job = BatchJob.submit(voyage, texts, "corpus.job", model="voyage-4", input_type="document")
    job.wait()
    for result in job.results():
        ...  # in the order of the inputs

A job does not depend on the process: `BatchJob.open(voyage, "corpus.job")` resumes it at any later
time. Source: docs.voyageai.com, "Batch Inference".
"""

from voyage_rag.batch.job import BatchJob
from voyage_rag.batch.types import BatchEstimate, BatchLimits, BatchResult, JobStatus
from voyage_rag.records import LineFailure

Estimate = BatchEstimate

__all__ = ["BatchJob", "BatchLimits", "BatchResult", "Estimate", "JobStatus", "LineFailure"]
