"""Credentials that go over the network in plain text. A finding names the service, the client and the protocol, never what was sent."""

from collectors.traffic.detectors import kinds
from collectors.traffic.detectors.finding import Finding, endpoint
from collectors.traffic.detectors.options import CredentialOptions
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.detectors.voice import Voice
from collectors.traffic.flows.store import Columns
from contracts.event import Severity

_LOOPBACK = Prefixes(("127.0.0.0/8", "::1/128"))
_NOBODY = (b"anonymous", b"ftp@", b"guest@", b"mozilla@", b"lftp@", b"-wget@", b"curl_by_daniel")
"""Passwords that FTP clients send for nobody."""


class Credentials:
    """Told by whoever sees a login; says each client and service once in a while."""

    def __init__(self, options: CredentialOptions, voice: Voice) -> None:
        self._options, self._voice = options, voice

    def seen(self, columns: Columns, slot: int, protocol: str, now_ns: int, head: bytes = b"") -> None:
        """Take a login that anyone on the way can read. `head` is what the client said; nothing of it is kept."""
        if not self._options.enabled or (protocol == "ftp" and any(word in head.lower() for word in _NOBODY)):
            return
        family = int(columns.family[slot])
        sender = endpoint(family, int(columns.src_hi[slot]), int(columns.src_lo[slot]))
        target = (int(columns.dst_hi[slot]), int(columns.dst_lo[slot]))
        server = endpoint(family, *target)
        if _LOOPBACK.has(server):
            return
        home = self._voice.home
        inside = home.has(sender) and home.has(server)
        self._voice.say(
            Finding(
                kind=kinds.PLAINTEXT,
                subject=endpoint(family, *target, int(columns.dport[slot]), 6),
                sender=sender,
                severity=Severity.LOW if inside else kinds.PLAINTEXT.severity,
                forgeable=False,
                method=protocol,
                numbers={"logins": 1.0},
                limits={},
                window_s=0,
                first_ns=now_ns,
                last_ns=now_ns,
                protocol=protocol,
                port=int(columns.dport[slot]),
            ),
            self._options.again,
        )
