"""The parts of a URL that determine the route of a request."""

from __future__ import annotations

import pytest

from voyage_rag.io.http.route import parse_address


@pytest.mark.parametrize(
    ("url", "host", "port", "host_header", "target", "absolute"),
    [
        (
            "https://a.example/v1/x",
            "a.example",
            443,
            "a.example",
            "/v1/x",
            "https://a.example/v1/x",
        ),
        ("http://a.example", "a.example", 80, "a.example", "/", "http://a.example/"),
        ("http://a.example:8080/?q=1", "a.example", 8080, "a.example:8080", "/?q=1", None),
        ("https://a.example:443/v1", "a.example", 443, "a.example", "/v1", None),
        ("https://A.Example/V1", "a.example", 443, "a.example", "/V1", None),
        ("http://[::1]:9/v1", "::1", 9, "[::1]:9", "/v1", "http://[::1]:9/v1"),
        ("https://a.example/ü/v1%20?q=é", "a.example", 443, None, "/%C3%BC/v1%20?q=%C3%A9", None),
        ("https://bücher.example/v1", "xn--bcher-kva.example", 443, None, "/v1", None),
        ("https://a.example/v1/files?limit=1&after=b", "a.example", 443, None, None, None),
    ],
)
def test_the_parts_of_a_url(
    url: str,
    host: str,
    port: int,
    host_header: str | None,
    target: str | None,
    absolute: str | None,
) -> None:
    """Name and port for the socket, target and host for HTTP, the whole URL for a proxy."""
    address = parse_address(url)
    assert address.origin[1:] == (host, port)
    assert host_header in (None, address.host_header.decode())
    assert target in (None, address.target)
    assert absolute in (None, address.absolute_target)
