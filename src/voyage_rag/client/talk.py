"""One conversation with the service at a time, in a thread or in a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from voyage_rag.core.flow import Operation
from voyage_rag.io.concurrency import arun, run
from voyage_rag.io.driver import DriverContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voyage_rag.client.session import Session
    from voyage_rag.core.flow import Flow
    from voyage_rag.core.jobs.asking import JobContext

T = TypeVar("T")


def talk_of(voyage: Session) -> Talk:
    """How a client talks to the service, for jobs that are made of many conversations."""
    return voyage._talk  # noqa: SLF001 - of the same package


@dataclass(frozen=True, slots=True)
class Talk:
    """What it takes to run a flow about files and batches.

    Attributes:
        terms: On which terms the service is asked.
        means: What drivers work with.
    """

    context: JobContext
    means: DriverContext

    def run(self, flow: Flow[T]) -> T:
        """Run a flow in this thread."""
        return run(Operation([flow], _only), self.means, 1)

    async def arun(self, flow: Flow[T]) -> T:
        """Async twin of `run`."""
        return await arun(Operation([flow], _only), self.means, 1)


def _only(parts: Sequence[T]) -> T:
    (part,) = parts
    return part
