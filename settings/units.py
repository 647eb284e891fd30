"""Quantities and references as people write them: `30s`, `64MiB`, `file:/path`; each direction in one place."""

import re

DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
SIZE_UNITS = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]+)")
_SECRET = re.compile(r"file:/[^\x00-\x1f]+|credential:[A-Za-z0-9_.-]{1,255}")


def duration(text: str) -> float:
    """Return seconds; raises `ValueError` with what would do."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in DURATION_UNITS:
        raise ValueError(f'"{text}" is not a duration; write 30s, 5m or 1h')
    value = float(match[1]) * DURATION_UNITS[match[2]]
    return round(value, 6)


def size(text: str) -> int:
    """Return bytes; raises `ValueError` with what would do."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in SIZE_UNITS:
        raise ValueError(f'"{text}" is not a size; write 512KiB, 64MiB or 1GiB')
    whole, _, fraction = match[1].partition(".")
    scaled: int = int(whole + fraction) * SIZE_UNITS[match[2]]
    value, rest = divmod(scaled, int(10 ** len(fraction)))
    if rest:
        raise ValueError(f'"{text}" is not a whole number of bytes; write 512KiB, 64MiB or 1GiB')
    return value


def secret_reference(text: str) -> str:
    """Return `text` if it refers to a secret; raises `ValueError`, which never repeats `text`: it may be the secret itself."""
    if _SECRET.fullmatch(text) is None:
        raise ValueError(
            "is not a reference to a secret; write file:/absolute/path or credential:NAME, never the secret itself"
        )
    return text


def write_duration(seconds: float) -> str:
    """Return the shortest exact way to write `seconds`."""
    for unit in ("w", "d", "h", "m", "s"):
        count = seconds / DURATION_UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    if seconds == 0:
        return "0s"
    milliseconds = round(seconds * 1000, 3)
    return f"{milliseconds:g}ms" if milliseconds < 1000 else f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


def write_size(count: int) -> str:
    """Return the shortest exact way to write `count` bytes."""
    for unit in ("TiB", "GiB", "MiB", "KiB", "TB", "GB", "MB", "kB"):
        if count and count % SIZE_UNITS[unit] == 0:
            return f"{count // SIZE_UNITS[unit]}{unit}"
    return f"{count}B"
