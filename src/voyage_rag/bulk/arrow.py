"""pyarrow, or what to install. It has no types of its own, so that names of it are `Any`."""

from __future__ import annotations

from typing import Any

try:
    import pyarrow as _arrow  # noqa: ICN001 - without types, unlike `pa` below
    import pyarrow.compute as _compute
    import pyarrow.parquet as _parquet
except ImportError as error:
    raise ImportError("bulk jobs need pyarrow: pip install 'voyage-rag[bulk]'") from error

pa: Any = _arrow
pc: Any = _compute
pq: Any = _parquet
