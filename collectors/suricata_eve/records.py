"""What Suricata's EVE JSON says: alerts and statistics, as far as they matter here; anything else is passed over."""

from datetime import datetime
from typing import Any

import msgspec


class Alert(msgspec.Struct):
    """The part of an alert record that is the rule's."""

    signature_id: int = 0
    gid: int = 1
    rev: int = 0
    signature: str = ""
    category: str = ""
    severity: int = 3
    action: str = ""
    metadata: dict[str, Any] = {}


class Flow(msgspec.Struct):
    """The flow of an alert."""

    pkts_toserver: int | None = None
    pkts_toclient: int | None = None
    bytes_toserver: int | None = None
    bytes_toclient: int | None = None
    src_ip: str = ""
    dest_ip: str = ""


class Verdict(msgspec.Struct):
    """What Suricata does to the packet."""

    action: str = ""


class Record(msgspec.Struct):
    """One line. What a field holds of another type makes the line malformed."""

    event_type: str = ""
    timestamp: str = ""
    src_ip: str = ""
    src_port: int | None = None
    dest_ip: str = ""
    dest_port: int | None = None
    proto: str = ""
    app_proto: str | None = None
    in_iface: str = ""
    direction: str | None = None
    community_id: str | None = None
    tx_id: int | None = None
    tx_guessed: bool | None = None
    alert: Alert | None = None
    flow: Flow | None = None
    verdict: Verdict | None = None
    stats: dict[str, Any] = {}


_DECODER = msgspec.json.Decoder(Record)


def read(line: bytes) -> Record | None:
    """Return a record of an alert or of statistics, None for any other.

    Raises `msgspec.MsgspecError` for what is no record, `UnicodeDecodeError` for text that is no UTF-8, `RecursionError` for what nests
    too deeply.
    """
    if b'"alert"' not in line and b'"stats"' not in line:
        if not line.lstrip().startswith(b"{"):
            raise msgspec.DecodeError("not a JSON object")
        return None
    record = _DECODER.decode(line)
    return record if record.event_type in ("alert", "stats") else None


def at_ms(record: Record) -> int:
    """Return when it was, Unix ms; 0 where that cannot be read."""
    try:
        return int(datetime.fromisoformat(record.timestamp).timestamp() * 1000)
    except ValueError:
        return 0


def number(stats: dict[str, Any], *names: str) -> int:
    """Return a number deep in the statistics, 0 where there is none."""
    found: Any = stats
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, int) else 0
