"""The service that a command uses: the live one, or an emulator on request."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from voyage_rag.commands.failure import CommandError

if TYPE_CHECKING:
    from voyage_rag.client import Voyage

EMULATOR_KEY = "pa-the-emulator-takes-any-key"


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
        with _emulator() as url, Voyage(EMULATOR_KEY, base_url=url, **settings) as voyage:
            yield voyage
        return
    _check_that_there_is_a_key(offline)
    with Voyage(base_url=base_url, **settings) as voyage:
        yield voyage


@contextmanager
def _emulator() -> Iterator[str]:
    from voyage_rag.emulator import Emulator  # noqa: PLC0415 - needs an extra

    sys.stderr.write("An emulator on this machine compares words; its vectors are not Voyage's.\n")
    with Emulator() as url:
        yield url


def _check_that_there_is_a_key(offline: str) -> None:
    from voyage_rag.secret import KEY_PATH_VARIABLE, KEY_VARIABLE  # noqa: PLC0415 - as above

    if not os.environ.get(KEY_VARIABLE) and not os.environ.get(KEY_PATH_VARIABLE):
        raise CommandError(
            f"no Voyage API key: set {KEY_VARIABLE}, or set {KEY_PATH_VARIABLE} to the path of a "
            f"key file, or try it without a key with {offline}"
        )
