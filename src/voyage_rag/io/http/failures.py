"""What a request that got no usable response is reported as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voyage_rag.errors import APIConnectionError, Timeout

if TYPE_CHECKING:
    from voyage_rag.core.flow import Attempt
    from voyage_rag.hosts.host import Host


def connection_error(
    error: Exception, host: Host, attempt: Attempt, *, is_timeout: bool, never_sent: bool
) -> APIConnectionError:
    """The error to raise.

    Args:
        error: What happened. Servers are quoted in it, so the key is taken out of its text.
        host: Where the request was going, and who knows the key.
        attempt: What was sent.
        is_timeout: Whether it took too long.
        never_sent: Whether the service cannot have seen the request.
    """
    reason = host.redact(str(error).encode()).decode() or type(error).__name__
    model = attempt.request.model
    if is_timeout:
        failure: APIConnectionError = Timeout(
            f"{host.base_url} did not answer within {attempt.timeout:g} s ({reason}): raise "
            "timeout, or send less at once",
            model=model,
        )
    else:
        failure = APIConnectionError(
            f"no answer from {host.base_url}: {reason} (`voyage-rag doctor` looks at network, "
            "proxy and certificates)",
            model=model,
        )
    failure.never_sent = never_sent
    return failure
