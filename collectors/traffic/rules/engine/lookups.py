"""Named sets of values that rules fill and ask: datasets, kept in memory and bounded."""

from ipaddress import ip_address

from collectors.traffic.rules.language.rule import Dataset

MOST = 1_000_000
"""Values in one set; what would be one more is not taken, so that the rule does not match."""
_DIGESTS = {"md5": 16, "sha256": 32}


class Lookups:
    """All sets, by name and type."""

    def __init__(self) -> None:
        self._sets: dict[tuple[str, str], set[bytes]] = {}
        self.refused = 0

    def holds(self, test: object, data: bytes) -> bool:
        """Return whether a test of a set holds for a value; `set` holds when the value is new, `unset` when it was there."""
        if not isinstance(test, Dataset):
            return False
        have = self._sets.setdefault((test.name, test.type), set())
        value = _value(test.type, data)
        if value is None:
            return False
        match test.cmd:
            case "isset":
                return value in have
            case "isnotset":
                return value not in have
            case "unset":
                known = value in have
                have.discard(value)
                return known
        if value in have:
            return False
        if len(have) >= MOST:
            self.refused += 1
            return False
        have.add(value)
        return True


def _value(kind: str, data: bytes) -> bytes | None:
    """Return a value as its set keeps it, None for one that is none of that type."""
    if kind in _DIGESTS:
        return data if len(data) == _DIGESTS[kind] else None
    if kind in ("ip", "ipv4"):
        if len(data) in (4, 16):
            return data
        try:
            return ip_address(data.decode("ascii")).packed
        except ValueError:
            return None
    return data
