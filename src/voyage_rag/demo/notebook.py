"""Where a notebook's vectors come from: the live service with a key, an emulator without."""

from __future__ import annotations

import os
import sys
from functools import cache

from voyage_rag.demo.options import EMULATOR_KEY
from voyage_rag.emulator import Emulator
from voyage_rag.hosts.address import LOOPBACK
from voyage_rag.secret import KEY_PATH_VARIABLE, KEY_VARIABLE
from voyage_rag.settings import BASE_URL_VARIABLE, Settings


def choose_service(compares: str = "words") -> None:
    """Use the live service where there is a key, else start an emulator; print which.

    The emulator lives as long as this process. So that the cells which follow are written as for
    the live service, it is entered into the environment: `VOYAGE_API_KEY` and `VOYAGE_BASE_URL` of
    this process and its workers.

    Args:
        compares: What the emulator compares instead of meaning.
    """
    given = os.environ.get(KEY_VARIABLE) or os.environ.get(KEY_PATH_VARIABLE)
    if given and given != EMULATOR_KEY:
        settings = Settings.resolve()
        where = (
            "a service on this machine"
            if settings.host.hostname in LOOPBACK
            else "live: it is billed"
        )
        told = f"Your key is used, at {settings.base_url} ({where})."
    else:
        address = _emulator().url
        os.environ[KEY_VARIABLE], os.environ[BASE_URL_VARIABLE] = EMULATOR_KEY, address
        told = (
            f"Not Voyage's vectors: there is no {KEY_VARIABLE}, so an emulator at {address} "
            f"answers.\nIt speaks Voyage's API and compares {compares}, not meaning."
        )
    sys.stdout.write(told + "\n")


@cache
def _emulator() -> Emulator:
    emulator = Emulator()
    emulator.start()
    return emulator
