"""Read rows of text from files and folders of all supported formats."""

from voyage_rag.jobs.inputs.discovery import InputFormat
from voyage_rag.jobs.inputs.opening import InputReader, open_inputs
from voyage_rag.jobs.inputs.rows import Row, flaw_of

__all__ = ["InputFormat", "InputReader", "Row", "flaw_of", "open_inputs"]
