"""Select the service of the notebooks: the live one with a key, otherwise an emulator."""

from __future__ import annotations

import os
import sys
from functools import cache

from voyage_rag.emulator import Emulator
from voyage_rag.emulator.options import EMULATOR_KEY
from voyage_rag.hosts.address import is_loopback
from voyage_rag.secret import KEY_VARIABLE, is_key_in_environment
from voyage_rag.settings import BASE_URL_VARIABLE, Settings


def choose_service(compares: str = "words") -> None:
    """Use the live service if there is a key, otherwise start an emulator, and print the choice.

    The emulator runs until this process ends. It is set as `VOYAGE_API_KEY` and `VOYAGE_BASE_URL`
    of this process and its workers, so that all later cells work as with the live service.

    Args:
        compares: What the emulator compares instead of meaning.
    """
    if is_key_in_environment() and os.environ.get(KEY_VARIABLE) != EMULATOR_KEY:
        settings = Settings.resolve()
        where = (
            "a service on this machine"
            if is_loopback(settings.host.hostname)
            else "live: calls are billed"
        )
        message = f"Your key is used, at {settings.base_url} ({where})."
    else:
        os.environ[KEY_VARIABLE], os.environ[BASE_URL_VARIABLE] = EMULATOR_KEY, _emulator().url
        message = (
            f"{KEY_VARIABLE} is not set, so an emulator was started on this machine.\n"
            f"Its vectors are not Voyage's: it compares {compares}, not meaning."
        )
    sys.stdout.write(message + "\n")


@cache
def _emulator() -> Emulator:
    emulator = Emulator()
    emulator.start()
    return emulator
