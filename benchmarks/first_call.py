"""Measure the first call of a process over TLS, from creating the client to the vector.

Each measurement is a new process, which has imported `Voyage` before. The modules that the
call itself imports count, as do reading certifi's certificates, connecting, and the handshake.

    python -m benchmarks.first_call [--runs 15]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import certifi
import trustme

from benchmarks.server import ServerBehavior
from benchmarks.server_process import HOST, running_server

SYNC = """
import sys, time
from voyage_rag import Voyage
began, cpu_began = time.perf_counter(), time.process_time()
Voyage("pa-of-nobody", base_url=sys.argv[1]).embed(["a"], "voyage-4", "query")
print(time.perf_counter() - began, time.process_time() - cpu_began)
"""
ASYNC = """
import asyncio, sys, time
from voyage_rag import Voyage
began, cpu_began = time.perf_counter(), time.process_time()
asyncio.run(Voyage("pa-of-nobody", base_url=sys.argv[1]).aembed(["a"], "voyage-4", "query"))
print(time.perf_counter() - began, time.process_time() - cpu_began)
"""


def times(program: str, url: str, runs: int) -> list[tuple[float, float]]:
    """Seconds, and CPU seconds of the process, of each run after a first one, which compiles."""
    command = [sys.executable, "-c", program, url]
    printed = [
        subprocess.check_output(command, text=True).split()  # noqa: S603 - our own
        for _ in range(runs + 1)
    ]
    return [(float(seconds), float(cpu)) for seconds, cpu in printed[1:]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST).private_key_and_cert_chain_pem
    with TemporaryDirectory() as folder, certificate.tempfile() as key:
        trusted = Path(folder, "trusted.pem")  # includes certifi's, which take time to read
        trusted.write_bytes(Path(certifi.where()).read_bytes() + authority.cert_pem.bytes())
        os.environ["SSL_CERT_FILE"] = str(trusted)
        with running_server(ServerBehavior(certificate=key)) as service:
            for name, program in (("sync", SYNC), ("async", ASYNC)):
                measured = times(program, service.url, runs)
                walls, cpus = zip(*measured, strict=True)
                sys.stdout.write(
                    f"{name:5} median {1e3 * median(walls):4.0f} ms, least {1e3 * min(walls):4.0f}"
                    f" ms, CPU median {1e3 * median(cpus):4.0f} ms, of {runs} processes\n"
                )


if __name__ == "__main__":
    main()
