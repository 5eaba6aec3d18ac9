"""Logs, usage, OpenTelemetry, and custom observers.

    with track_usage() as usage:
        ...
    print(usage)

    add_observer(print)               # for every client of this process
    Voyage(observers=[print])         # for one client

`voyage_rag.events` lists the events that observers receive. `voyage_rag.observe.otel` exports them
to OpenTelemetry.
"""

from typing import TYPE_CHECKING

from voyage_rag.deferred import deferred

if TYPE_CHECKING:
    from voyage_rag.observe.observers import add_observer, remove_observer
    from voyage_rag.observe.usage import UsageTracker, track_usage

__all__ = ["UsageTracker", "add_observer", "remove_observer", "track_usage"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = deferred(__name__, __all__, ["observers", "usage"])
