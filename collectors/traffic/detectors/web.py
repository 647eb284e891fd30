"""Web servers that are probed: requests of one client that mostly fail, or that carry what attacks are made of; and logins over HTTP.

The patterns are few and sure; thousands of signatures are what rules are for.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.credentials import Credentials
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.logins import Logins
from collectors.traffic.detectors.options import WebOptions
from collectors.traffic.detectors.requests import Answered
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.http.transaction import HttpTransaction
from contracts.event import Severity

_REMEMBERED = 16_384
_BODY = 2048
_WRITTEN = 5
_STATEMENT = re.compile(
    rb"(?i)\s*(?:[\w.\[\]-]+=)?\s*(?:select|with|insert|update|delete|explain|show|create|alter|drop)\s"
)
"""A value that is a whole statement is what a console or a program asks a database (InfluxDB, ClickHouse, Adminer): nothing is injected."""
_BETWEEN_VALUES = re.compile(rb"[?&]|(?<!\\)\"")
_ODD = re.compile(rb"['\"<>$`;|\\%(+ {*]")
_ODD_AGENT = re.compile(rb"['<>$`|\\%{]")
_PLACES = (b"..", b"/etc/", b"/.", b"wp-config", b"phpunit")
"""What any of the patterns needs: most requests have none of it, and are not looked at further."""
_SQL = "SQL injection"
_ATTACKS: tuple[tuple[str, re.Pattern[bytes]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for name, pattern in (
        (
            _SQL,
            rb"union[\s/*+(]+(?:all[\s/*+(]+)?select|['\")]\s*(?:or|and)\s+['\"(]?[\w.]+['\")]?\s*(?:=|like|between|<|>)"
            rb"|\b(?:or|and)\s+(\d{1,6})\s*=\s*\1\b|(?:sleep|benchmark|pg_sleep|waitfor\s+delay|randomblob|extractvalue|updatexml)\s*[(']"
            rb"|information_schema\b|\bselect\b.{1,80}\bfrom\b.{1,80}(?:--|#|/\*|\bwhere\b)|;\s*(?:drop|insert|update|delete|shutdown)\s"
            rb"|order\s+by\s+\d+\s*(?:--|#)|\bxp_cmdshell\b",
        ),
        (
            "path traversal",
            rb"(?:\.\.[/\\]){2,}|/etc/(?:passwd|shadow|hosts)\b|\bboot\.ini\b|/proc/self/|\\windows\\system32",
        ),
        (
            "cross-site scripting",
            rb"<\s*script\b|<\s*(?:img|svg|iframe|body)\b[^>]{0,200}\bon\w+\s*=|javascript:\s*[a-z]+\s*\(",
        ),
        (
            "command injection",
            rb"[;|`&]\s*(?:cat|id|ls|uname|whoami|wget|curl|nc|bash|sh|ping|powershell)\b|\$\(\s*\w+|\(\)\s*\{[^}]*\}\s*;"
            rb"|\bcmd\.exe\b|/bin/(?:ba|da|z)?sh\b",
        ),
        ("JNDI look-up", rb"\$\{(?:jndi|\$\{|lower:|upper:|env:|::-)"),
        (
            "code injection",
            rb"<\?php|\bphp://(?:input|filter)|\bdata://text|\beval\s*\(|\bbase64_decode\s*\(|\{\{.{0,40}\*.{0,40}\}\}",
        ),
        (
            "file that gives away secrets",
            rb"/\.(?:env|git/(?:config|HEAD)|aws/credentials|ssh/)|/wp-config\.php\.|/phpunit/.*eval-stdin",
        ),
    )
)
_FORM = re.compile(rb"(?i)(?:^|&)[\w\[\].-]*(?:pass|passwd|password|pwd)[\w\[\].-]*=")

_GUESSABLE = re.compile(rb"(?i)\s*(?:Basic|Digest|NTLM|Negotiate)\b")
_TOKEN = re.compile(rb"(?i)\b(?:NTLM|Negotiate)\s+[A-Za-z0-9+/]{8}")
_STALE = re.compile(rb"(?i)\bstale\s*=\s*\"?true")
_NO = re.compile(rb"(?i)error|invalid|incorrect|denied|wrong|fail|unauthori[sz]ed|\"(?:success|ok)\"\s*:\s*(?:false|0)")


@dataclass(slots=True)
class _Client:
    began_ns: int
    requests: int = 0
    errors: int = 0
    attacks: int = 0
    written: int = 0
    names: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """Requests with texts of attacks; in bodies people write about such things, so these count a fifth."""
        return self.attacks + self.written // _WRITTEN


class Web:
    """Counts by client and service, in bounded memory."""

    def __init__(self, options: WebOptions, voice: Voice, logins: Logins | None, credentials: Credentials) -> None:
        self._options, self._voice, self._logins, self._credentials = options, voice, logins, credentials
        self._window_ns = int(options.window * 1e9)
        self._clients: OrderedDict[tuple[int, ...], _Client] = OrderedDict()
        self.evicted = 0

    def feed(self, answered: list[Answered], columns: Columns, now_ns: int) -> None:
        """Take a block's answered requests."""
        for one in answered:
            self._login(one, columns, now_ns)
            if not self._options.enabled:
                continue
            attack, written = _attack(one)
            client = self._client(one.slot, columns, now_ns)
            client.requests += 1
            client.errors += one.status in (400, 403, 404, 405, 414, 500, 501)
            if attack:
                client.attacks += not written
                client.written += written
                client.names = (*(name for name in client.names if name != attack), attack)
                if client.weight >= self._options.attacks:
                    self._say(client, one.slot, columns, now_ns, "attack text")
            if client.errors >= self._options.errors and client.errors >= self._options.share * client.requests:
                self._say(client, one.slot, columns, now_ns, "failing requests")

    def _client(self, slot: int, columns: Columns, now_ns: int) -> _Client:
        names = ("family", "src_hi", "src_lo", "dst_hi", "dst_lo", "dport")
        key = tuple(int(getattr(columns, name)[slot]) for name in names)
        client = self._clients.get(key)
        if client is None or now_ns - client.began_ns > self._window_ns:
            client = self._clients[key] = _Client(now_ns)
            if len(self._clients) > _REMEMBERED:
                self._clients.popitem(last=False)
                self.evicted += 1
        self._clients.move_to_end(key)
        return client

    def _login(self, one: Answered, columns: Columns, now_ns: int) -> None:
        """Hear of logins: by header, and by forms with a password in them."""
        tx = one.tx
        headers = tx.request_message.headers
        given = headers.get(b"authorization")
        if given is not None:
            if given.lstrip()[:6].lower() == b"basic ":
                self._credentials.seen(columns, one.slot, "http basic", now_ns)
            if self._logins is not None and one.status == 401:
                # (A token that has expired is sent again and again by honest programs, and nobody guesses one.)
                if _GUESSABLE.match(given) is not None and not _goes_on(
                    tx.response_message.headers.get(b"www-authenticate") or b""
                ):
                    self._logins.outcome(one.slot, True, "http")
            elif self._logins is not None and one.status in (200, 204, 301, 302):
                self._logins.outcome(one.slot, False, "http")
        elif tx.method == b"POST" and b"urlencoded" in (headers.get(b"content-type") or b"").lower():
            body = _body(tx)
            if _FORM.search(body) is not None:
                self._credentials.seen(columns, one.slot, "http form", now_ns)
                failed = _refused(one)
                if self._logins is not None and failed is not None:
                    self._logins.outcome(one.slot, failed, "http form")

    def _say(self, client: _Client, slot: int, columns: Columns, now_ns: int, method: str) -> None:
        options, family = self._options, int(columns.family[slot])
        sure = method == "attack text"
        numbers = {"requests": float(client.requests), "failing_requests": float(client.errors)}
        limits = {"failing_requests": float(options.errors)}
        if sure:
            numbers = {"bodies_with_attack_text": float(client.written), **numbers} if client.written else numbers
            numbers = {"requests_with_attack_text": float(client.attacks), **numbers}
            limits = {"requests_with_attack_text": float(options.attacks)}
            limits["bodies_with_attack_text"] = float(options.attacks * _WRITTEN)
            method = ", ".join(sorted(client.names))
        self._voice.say(
            Finding(
                kind=kinds.WEB_PROBED,
                subject=endpoint(
                    family, int(columns.dst_hi[slot]), int(columns.dst_lo[slot]), int(columns.dport[slot]), 6
                ),
                sender=endpoint(family, int(columns.src_hi[slot]), int(columns.src_lo[slot])),
                severity=Severity.HIGH if sure and client.weight >= 5 * options.attacks else kinds.WEB_PROBED.severity,
                forgeable=False,
                method=method,
                numbers=numbers,
                limits=limits,
                window_s=options.window,
                first_ns=client.began_ns,
                last_ns=now_ns,
                protocol="http",
                port=int(columns.dport[slot]),
            )
        )


def _goes_on(challenge: bytes) -> bool:
    """Return whether a 401 is a step of a login, not its refusal: a token of NTLM or Kerberos, an old nonce (RFC 4559, 7616)."""
    return _TOKEN.search(challenge) is not None or _STALE.search(challenge) is not None


def _refused(one: Answered) -> bool | None:
    """Return whether a form with a password was refused; None where the answer does not say."""
    if one.status in (301, 302, 303, 307, 204):
        return False
    message = one.tx.response_message
    if one.status == 200 and b"html" not in (message.headers.get(b"content-type") or b"html").lower():
        # What programs ask (a token, a session) is answered in data: a refusal with this status says so.
        return True if _NO.search(message.body.beginning(_BODY)) is not None else None
    # A form that is shown again, or refused, was a failure; success leads elsewhere.
    return one.status < 500 or None


def _attack(one: Answered) -> tuple[str, bool]:
    """Return what kind of attack a request carries text of, "" for none, and whether only its body does."""
    tx = one.tx
    headers = tx.request_message.headers
    parts = [
        part
        for part in (tx.target, headers.get(b"referer"), headers.get(b"cookie"))
        if part and (_ODD.search(part) is not None or any(place in part for place in _PLACES))
    ]
    agent = headers.get(b"user-agent")
    if agent and _ODD_AGENT.search(agent) is not None:
        parts.append(agent)
    name = next((name for part in parts if (name := _kind_of(part))), "")
    if name or tx.method == b"GET":
        return name, False
    return _kind_of(_body(tx)), True


def _body(tx: HttpTransaction) -> bytes:
    """Return the beginning of what the client sent."""
    return tx.request_message.body.seen()[:_BODY]


def _kind_of(part: bytes) -> str:
    found = _matching(part)
    if found != _SQL:
        return found
    # Asked of the whole at first, since hardly anything gets here.
    values = [value for value in _BETWEEN_VALUES.split(part) if _STATEMENT.match(_plain(value)) is None]
    return next((name for value in values if (name := _matching(value))), "")


def _plain(part: bytes) -> bytes:
    text = part.replace(b"+", b" ")
    for _ in range(2):
        text = unquote_to_bytes(text) if b"%" in text else text
    return text


def _matching(part: bytes) -> str:
    text = _plain(part)
    return next((name for name, pattern in _ATTACKS if pattern.search(text) is not None), "")
