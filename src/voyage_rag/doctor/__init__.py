"""Why does it not work? One look at everything between this program and the service.

    from voyage_rag.doctor import examine

    for finding in examine():
        print(finding)

`voyage-rag doctor` shows the same. Nothing is billed, unless `call=True` asks for a paid call.
"""

from voyage_rag.doctor.examination import examine
from voyage_rag.doctor.findings import Finding, State

__all__ = ["Finding", "State", "examine"]
