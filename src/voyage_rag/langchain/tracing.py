"""A run among LangChain's runs: what callbacks and tracers are told of work that is no Runnable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import (
    ensure_config,
    get_async_callback_manager_for_config,
    get_callback_manager_for_config,
)

if TYPE_CHECKING:
    from langchain_core.callbacks import Callbacks
    from langchain_core.runnables import RunnableConfig


@contextmanager
def run(
    name: str, model: str, callbacks: Callbacks, inputs: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Emit callbacks of a start, and of its end or error; without callbacks, nothing happens.

    Those of the Runnable that is at work are told, too, as for any Runnable.

    Args:
        name: What the run is called.
        model: The model, which tracers show.
        callbacks: What the caller was handed.
        inputs: What goes in.

    Yields:
        A dictionary for what comes out.
    """
    manager = get_callback_manager_for_config(_config(callbacks, model))
    outputs: dict[str, Any] = {}
    if not manager.handlers:
        yield outputs
        return
    told = manager.on_chain_start(None, inputs, name=name)
    try:
        yield outputs
    except BaseException as error:
        told.on_chain_error(error)
        raise
    told.on_chain_end(outputs)


@asynccontextmanager
async def arun(
    name: str, model: str, callbacks: Callbacks, inputs: dict[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Async twin of `run`."""
    if not _in_asyncio():  # LangChain's async callbacks need its event loop, its sync ones do not
        with run(name, model, callbacks, inputs) as given:
            yield given
        return
    manager = get_async_callback_manager_for_config(_config(callbacks, model))
    outputs: dict[str, Any] = {}
    if not manager.handlers:
        yield outputs
        return
    told = await manager.on_chain_start(None, inputs, name=name)
    try:
        yield outputs
    except BaseException as error:
        await told.on_chain_error(error)
        raise
    await told.on_chain_end(outputs)


def _config(callbacks: Callbacks, model: str) -> RunnableConfig:
    """LangSmith's names for provider and model."""
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
