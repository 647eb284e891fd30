"""Which version of the signatures is current: from a private mirror's own header, or from the makers' TXT record where DNS may be asked."""

import http.client
from urllib.parse import urlsplit

from analysis.antivirus import cvd, freshclam
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Host
from contracts.record import Record

RECORD = "current.cvd.clamav.net"
RECORD_VALID_MS = 3 * 3600 * 1000
"""An older record decides nothing: a name server may answer with one of last year for ever (freshclam, too, asks a mirror then)."""
TIMEOUT_S = 15.0
_NAMES = ("daily.cvd", "daily.cld", "daily.cud")
_AGENT = "ClamAV/holdfast"


class Known(Record):
    """The newest version, who said so (`dns` or `mirror`), and when it was announced (Unix ms)."""

    version: int
    source: str
    announced_ms: int = 0


def by_dns(host: Host, name: str = RECORD) -> Known:
    """Ask for the TXT record; raises `Unavailable`."""
    trouble = "it has no TXT record"
    for text in host.texts(name or RECORD):
        try:
            found = freshclam.current(text)
        except Malformed as error:
            trouble = error.message
        else:
            return Known(version=found.daily, source="dns", announced_ms=found.at_ms)
    raise Unavailable(Why.MALFORMED, f"{name}: {trouble}", advice="check the name servers of this host")


def by_mirror(url: str) -> Known:
    """Read the header of the daily database on a mirror, 512 bytes of it; raises `Unavailable`."""
    trouble: Exception | None = None
    for name in _NAMES:
        try:
            head = cvd.parse(_head(url, name))
        except FileNotFoundError:
            continue
        except (OSError, http.client.HTTPException, Malformed, ValueError) as error:
            trouble = error
            continue
        return Known(version=head.version, source="mirror", announced_ms=head.built_ms)
    detail = str(trouble) if trouble is not None else "it has no daily database"
    raise Unavailable(Why.OTHER, f"the mirror {url} does not say what is current: {detail}", advice="check the mirror")


def _head(url: str, name: str) -> bytes:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
    try:
        wanted = {"Range": f"bytes=0-{cvd.SIZE - 1}", "User-Agent": _AGENT}
        connection.request("GET", f"{parts.path.rstrip('/')}/{name}", headers=wanted)
        answer = connection.getresponse()
        if answer.status == 404:
            raise FileNotFoundError(name)
        if answer.status not in (200, 206):
            raise OSError(f"it answers {answer.status} for {name}")
        return answer.read(cvd.SIZE)
    finally:
        connection.close()
