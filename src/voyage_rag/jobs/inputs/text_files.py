"""Plain text: files with one text per line, or with a single text."""

from __future__ import annotations

from collections.abc import Generator

from voyage_rag.jobs.errors import JobError
from voyage_rag.jobs.inputs.rows import Columns, InputFile, Row
from voyage_rag.jobs.lines import open_bytes, read_lines


class LinesFile(InputFile):
    """A file with one text per line. Blank lines are ignored."""

    unit = "line"

    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """See `InputFile`."""
        seen = 0
        with open_bytes(self.path, self.options.encoding) as file:
            for number, content, flaw in read_lines(file):
                if number <= self.options.skip_lines:
                    continue
                seen += 1
                if seen > skip:
                    text = content.decode(errors="surrogateescape").rstrip("\r\n")
                    kept = (None,) * len(columns.keep)
                    yield Row(number, position + seen - 1, text, flaw, self.label, kept)
        return seen


class WholeFile(InputFile):
    """A file that is one text, whose id is its path in the input folder."""

    unit = "file"

    def row_count(self) -> int | None:
        """See `InputFile`."""
        return 1

    def rows(self, columns: Columns, position: int, skip: int) -> Generator[Row, None, int]:
        """See `InputFile`."""
        if skip:
            return 1
        text, flaw = None, None
        try:
            with open_bytes(self.path, self.options.encoding) as opened:
                text = opened.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            flaw = f"not UTF-8 (byte {error.start})"
        except JobError as error:
            flaw = error.message
        except OSError as error:
            flaw = f"cannot be read: {error.strerror}"
        kept = (None,) * len(columns.keep)
        yield Row(position + 1, self.label, text, flaw, self.label, kept)
        return 1
