"""Diagnose problems between this program and the service.

    from voyage_rag.doctor import examine

    for finding in examine():
        print(finding)

`voyage-rag doctor` prints the same. Nothing is billed, unless `call=True` requests a paid call.
"""

from voyage_rag.doctor.examination import examine
from voyage_rag.doctor.findings import Finding, State

__all__ = ["Finding", "State", "examine"]
