"""Run a program in a peer's environment, on an emulator and without the Hugging Face hub.

`python tests/dropin/peer.py PROGRAM`, with the address in VOYAGE_BASE_URL. Two things stand in for
what cannot be had there: a tokenizer for the one that the peers ask the hub for, and the address,
which not all of their classes take.
"""

import os
import runpy
import sys

from benchmarks.clients.blank_tokenizer import use_blank_tokenizer
from voyageai import _base

use_blank_tokenizer()
_base.get_default_base_url = lambda _key: os.environ["VOYAGE_BASE_URL"]
runpy.run_path(sys.argv[1], run_name="__main__")
