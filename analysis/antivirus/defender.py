"""What Microsoft Defender says of itself: `mdatp health --output json`."""

from typing import Any

import msgspec

from contracts.codec import UNDECODABLE
from contracts.errors import Malformed
from contracts.record import Record


class Health(Record):
    """`built_ms` when its definitions were updated (Unix ms, 0 for not said), `protects` None where it is not said."""

    engine: str
    definitions: str
    built_ms: int
    protects: bool | None
    healthy: bool | None
    trouble: str


def parse(raw: bytes, now_ms: int) -> Health:
    """Return its health; raises `Malformed`. Values may stand alone or in an object with who manages them."""
    try:
        said = msgspec.json.decode(raw)
    except UNDECODABLE as error:
        raise Malformed(f"mdatp does not answer in JSON: {error}") from error
    if not isinstance(said, dict):
        raise Malformed("mdatp's answer is no object")
    minutes = _value(said, "definitionsUpdatedMinutesAgo")
    known = isinstance(minutes, (int, float)) and not isinstance(minutes, bool) and minutes >= 0
    protects = _value(said, "realTimeProtectionEnabled")
    issues = _value(said, "healthIssues")
    healthy = _value(said, "healthy")
    return Health(
        engine=_text(_value(said, "engineVersion")),
        definitions=_text(_value(said, "definitionsVersion")),
        built_ms=now_ms - round(minutes * 60_000) if known else 0,
        protects=protects if isinstance(protects, bool) else None,
        healthy=healthy if isinstance(healthy, bool) else None,
        trouble=", ".join(map(_text, issues))[:300] if isinstance(issues, list) else "",
    )


def _value(said: dict[str, Any], name: str) -> Any:
    found = said.get(name)
    return found.get("value") if isinstance(found, dict) else found


def _text(value: Any) -> str:
    return "".join(char if char.isprintable() else "?" for char in str(value or ""))[:100]
