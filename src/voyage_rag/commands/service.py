"""The service that a command uses: the live one, or an emulator on request."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from voyage_rag.commands.failure import CommandError

if TYPE_CHECKING:
    from voyage_rag.client import Voyage

EMULATED = "An emulator on this machine compares words; its vectors are not Voyage's.\n"

EMULATED_SCOPE = "emulator"
"""Distinguishes the vectors of emulators, at any address, from those of other hosts."""


def scope_of(base_url: str | None, *, emulated: bool) -> str | None:
    """Return what distinguishes the vectors of a run from those of others; None without a key."""
    from voyage_rag.client import Voyage  # noqa: PLC0415 - not needed for help
    from voyage_rag.secret import is_key_in_environment  # noqa: PLC0415 - as above

    if emulated or not is_key_in_environment():
        return EMULATED_SCOPE if emulated else None
    with Voyage(base_url=base_url) as voyage:
        return voyage.settings.host.cache_scope


@contextmanager
def connected(
    base_url: str | None, *, emulated: bool, offline: str = "--emulator", **settings: Any
) -> Iterator[Voyage]:
    """Open a client for the duration of a command.

    An emulator is started on request only, and announced on stderr. `offline` describes how to try
    the command without a key.

    Raises:
        CommandError: There is no key, or the emulator's packages are not installed.
    """
    from voyage_rag.client import Voyage  # noqa: PLC0415 - not needed for help

    if emulated:
        from voyage_rag.emulator import Emulator  # noqa: PLC0415 - needs an extra
        from voyage_rag.emulator.options import EMULATOR_KEY  # noqa: PLC0415 - as above
        from voyage_rag.hosts import VoyageAPI  # noqa: PLC0415 - as above

        class EmulatedAPI(VoyageAPI):
            """An emulator at any port, so that another one can resume a job."""

            @property
            def cache_scope(self) -> str:
                return EMULATED_SCOPE

        sys.stderr.write(EMULATED)
        with Emulator() as url, Voyage(host=EmulatedAPI(EMULATOR_KEY, url), **settings) as voyage:
            yield voyage
    else:
        _check_that_there_is_a_key(offline)
        with Voyage(base_url=base_url, **settings) as voyage:
            yield voyage


def _check_that_there_is_a_key(offline: str) -> None:
    from voyage_rag.secret import (  # noqa: PLC0415 - not needed for help
        KEY_PATH_VARIABLE,
        KEY_VARIABLE,
        is_key_in_environment,
    )

    if not is_key_in_environment():
        raise CommandError(
            f"no Voyage API key: set {KEY_VARIABLE}, or set {KEY_PATH_VARIABLE} to the path of a "
            f"key file, or try it without a key with {offline}"
        )
