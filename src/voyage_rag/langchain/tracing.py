"""Report work that is not a Runnable to LangChain's callbacks and tracers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)


@contextmanager
def run(
    name: str, model: str, callbacks: Callbacks, inputs: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Emit the start of a run, and its end or error. Without callbacks, nothing happens.

    The callbacks of the current Runnable are notified, too. Tracers show the model.

    Yields:
        A dictionary for the outputs of the run.
    """
    manager = get_callback_manager_for_config(_config(callbacks, model))
    outputs: dict[str, Any] = {}
    if not manager.handlers:
        yield outputs
        return
    started = manager.on_chain_start(None, inputs, name=name)
    try:
        yield outputs
    except BaseException as error:
        started.on_chain_error(error)
        raise
    started.on_chain_end(outputs)


@asynccontextmanager
async def arun(
    name: str, model: str, callbacks: Callbacks, inputs: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Async variant of `run`."""
    if not _in_asyncio():  # LangChain's async callbacks need asyncio, its sync ones do not
        with run(name, model, callbacks, inputs) as given:
            yield given
        return
    manager = get_async_callback_manager_for_config(_config(callbacks, model))
    outputs: dict[str, Any] = {}
    if not manager.handlers:
        yield outputs
        return
    started = await manager.on_chain_start(None, inputs, name=name)
    try:
        yield outputs
    except BaseException as error:
        await started.on_chain_error(error)
        raise
    await started.on_chain_end(outputs)


def _config(callbacks: Callbacks, model: str) -> RunnableConfig:
    """Return a configuration with the provider and the model under LangSmith's names."""
    config = ensure_config({"callbacks": callbacks})
    config["metadata"] = {
        **config.get("metadata", {}),
        "ls_provider": "voyageai",
        "ls_model_name": model,
    }
    return config


def _in_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
