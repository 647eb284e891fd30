"""Which Debian package ships a file, read from dpkg's own lists (dpkg(1), deb-md5sums and `/var/lib/dpkg/info/*.list`).

A look for many files is one pass over the lists. Two traps: after the merge of /bin into /usr/bin a list may hold either name, and a
diverted file belongs to the package whose list holds its former name (dpkg-divert(1)).
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.errors import Unavailable, Why
from host.files import unavailable

Diversion = tuple[bytes, bytes]
"""Former name of a file and the package that diverted it (":" for the administrator)."""


class Dpkg:
    """The lists below `folder`, `/var/lib/dpkg` by default; `merged` tells whether `/bin` and the like lead into `/usr`."""

    def __init__(self, folder: str = "/var/lib/dpkg") -> None:
        self._folder = folder

    def version(self) -> int:
        """Return a number that changes with every installation; raises `Unavailable` where there is no database."""
        info = f"{self._folder}/info"
        try:
            return os.stat(info).st_mtime_ns  # noqa: PTH116  # the sibling of listdir of bytes below
        except OSError as error:
            raise unavailable(info, error) from error

    def owners(self, paths: Iterable[bytes]) -> dict[bytes, str]:
        """Return the package of each of `paths` that has one; raises `Unavailable`."""
        diverted = self._diversions()
        wanted: dict[bytes, list[tuple[bytes, bytes, bool]]] = {}
        for path in paths:
            for name in _aliases(path):
                former, by = diverted.get(name, (name, b""))
                if former != name:  # what was moved aside belongs to anyone but who moved it
                    wanted.setdefault(former, []).append((path, by, False))
                taker = _taker(name, diverted)
                wanted.setdefault(name, []).append((path, taker, True))
        return self._scan(wanted)

    def _scan(self, wanted: Mapping[bytes, list[tuple[bytes, bytes, bool]]]) -> dict[bytes, str]:
        info = os.fsencode(f"{self._folder}/info")
        try:
            lists = [name for name in os.listdir(info) if name.endswith(b".list")]  # noqa: PTH208
        except OSError as error:
            raise unavailable(os.fsdecode(info), error) from error
        if not lists:
            message = f"the package database {os.fsdecode(info)} is empty"
            raise Unavailable(Why.PERMISSION, message, advice="make it visible to this process")
        found: dict[bytes, str] = {}
        keys = wanted.keys()
        for name in lists:
            hits = keys & set(_content(info + b"/" + name).split(b"\n"))
            package = name.removesuffix(b".list").partition(b":")[0]
            for hit in hits:
                for path, other, is_only in wanted[hit]:
                    if not other or (package == other) == is_only:
                        found[path] = package.decode("ascii", "backslashreplace")
        return found

    def _diversions(self) -> dict[bytes, Diversion]:
        """Return for each name that a file was moved to, its former name and who moved it."""
        try:
            lines = Path(f"{self._folder}/diversions").read_bytes().split(b"\n")
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise unavailable(f"{self._folder}/diversions", error) from error
        return {lines[n + 1]: (lines[n], lines[n + 2]) for n in range(0, len(lines) - 2, 3)}


def _taker(name: bytes, diverted: Mapping[bytes, Diversion]) -> bytes:
    """Return the package that took the place `name` from others, b"" for nobody."""
    return next((by for former, by in diverted.values() if former == name), b"")


def _content(path: bytes) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123  # a name in bytes, which pathlib does not know
            return file.read()
    except FileNotFoundError:  # removed meanwhile
        return b""
    except OSError as error:
        raise unavailable(os.fsdecode(path), error) from error


_MERGED = (b"/bin/", b"/sbin/", b"/lib/", b"/lib32/", b"/lib64/", b"/libx32/")


def _aliases(path: bytes) -> list[bytes]:
    """Return the names under which a list may hold `path`."""
    for top in _MERGED:
        if path.startswith(top) and _is_merged(top):
            return [path, b"/usr" + path]
        if path.startswith(b"/usr" + top) and _is_merged(top):
            return [path, path[4:]]
    return [path]


def _is_merged(top: bytes) -> bool:
    return os.path.islink(top.rstrip(b"/"))  # noqa: PTH114  # a name in bytes
