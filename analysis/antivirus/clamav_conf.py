"""Configurations of clamd and freshclam: `Name value` a line, `#` begins a comment (`clamd.conf(5)`, `freshclam.conf(5)`).

Names count whatever their case. The defaults are those of ClamAV 1.0 and later.
"""

from collections.abc import Mapping

from contracts.subjects.antivirus import Limits

_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})
DATABASES = "/var/lib/clamav"


class Conf:
    """What a configuration says, by name; a name may stand several times."""

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = values

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of `name`, in order."""
        return self._values.get(name.lower(), ())

    def text(self, name: str, default: str = "") -> str:
        """The last value of `name`."""
        return (self.all(name) or (default,))[-1]

    def flag(self, name: str, default: bool) -> bool:
        """Whether `name` is switched on."""
        value = self.text(name).lower()
        return value in _YES if value in _YES | _NO else default

    def size(self, name: str, default: int) -> int:
        """A size in bytes; what is no size is the default."""
        value = self.text(name).lower()
        unit = _UNITS.get(value[-1:], 1)
        digits = value.rstrip("kmg")
        return int(digits[:15]) * unit if digits.isdigit() else default


def parse(text: str) -> Conf:
    """Return what the lines of a configuration say; quotes around a value are taken off."""
    values: dict[str, tuple[str, ...]] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name and not name.startswith("#"):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] == '"':
                value = value[1:-1]
            values[name.lower()] = (*values.get(name.lower(), ()), value)
    return Conf(values)


def addresses(conf: Conf) -> tuple[str, ...]:
    """Where clamd listens, the socket in the file system first; one that listens on every address is asked on this machine's own."""
    found = [f"unix:{path}" for path in conf.all("LocalSocket") if path.startswith("/")]
    port = conf.text("TCPSocket")
    if port.isdigit():
        hosts = conf.all("TCPAddr") or ("127.0.0.1",)
        found += [f"tcp:{'127.0.0.1' if host in ('0.0.0.0', 'any') else host}:{port}" for host in hosts]
    return tuple(found)


def limits(conf: Conf) -> Limits:
    """Up to where clamd looks with this configuration."""
    return Limits(
        known=True,
        alerts=conf.flag("AlertExceedsMax", default=False),
        file_bytes=conf.size("MaxFileSize", 100 << 20),
        scan_bytes=conf.size("MaxScanSize", 400 << 20),
        stream_bytes=conf.size("StreamMaxLength", 100 << 20),
        files=conf.size("MaxFiles", 10_000),
        recursion=conf.size("MaxRecursion", 17),
    )
