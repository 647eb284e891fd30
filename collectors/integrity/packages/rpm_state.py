"""What rpm's database says now: the installed packages, the files each holds, and whether a run is under way.

None of it is believed by itself: which header is signed, and by whom, `rpm_desk` asks.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from analysis.integrity.rpm_header import Header
from analysis.integrity.rpm_package import PUBKEY, RpmFile, RpmPackage, files, package
from collectors.integrity.packages.locks import is_any_held
from collectors.integrity.packages.rpm_database import LOCK, RpmDatabase, Stamp
from contracts.errors import Malformed
from contracts.host import ReadOnlyHost
from contracts.record import Record

_KEPT = 16


class Held(Record):
    """One package as the database has it: the number of its header there, and the header's SHA-256 in hex."""

    package: RpmPackage
    number: int
    digest: str


class RpmState:
    """Reads the database; what was read is kept until it changes. For one thread."""

    def __init__(self, host: ReadOnlyHost, folder: str, place: Path) -> None:
        self._host = host
        self._database = RpmDatabase(host, folder, place)
        self._files: dict[str, dict[bytes, RpmFile]] = {}
        self._identities: frozenset[tuple[str, str, str]] = frozenset()
        self.held: list[Held] = []
        self.by_name: dict[str, list[Held]] = {}
        self.keys: frozenset[str] = frozenset()
        """The ends of the fingerprints, in capitals, of keys that only the database holds (`gpg-pubkey`)."""
        self.flaws: tuple[str, ...] = ()
        """A sentence for each header that cannot be read."""

    def stamp(self) -> Stamp:
        """Return a mark of the database, another one after each change."""
        return self._database.stamp()

    def read(self) -> Stamp:
        """Return the mark that the database had when it was last read."""
        return self._database.held()

    def is_busy(self) -> bool:
        """Say whether a run of rpm is under way, whoever began it: each holds the database's lock."""
        return is_any_held(self._host.files, [f"{self._database.folder}/{LOCK}"])

    def refresh(self) -> None:
        """Read again what changed; raises `Unavailable` where the database cannot be read."""
        if not self._database.refresh():
            return
        held, keys, flaws = [], set(), []
        for number, blob in self._database.blobs():
            try:
                one = package(Header(blob))
            except ValueError as error:
                flaws.append(f"header {number} of rpm's database cannot be read: {error}")
                continue
            if one.name == PUBKEY:
                keys.add(one.version.partition("-")[0].upper())
            else:
                held.append(Held(package=one, number=number, digest=hashlib.sha256(blob).hexdigest()))
        self.held, self.keys, self.flaws = held, frozenset(keys), tuple(flaws)
        self._identities = frozenset(one.package.identity for one in held)
        self.by_name = {}
        for each in held:
            self.by_name.setdefault(each.package.name, []).append(each)
        self._files.clear()

    def is_installed(self, identity: tuple[str, str, str]) -> bool:
        """Say whether this very name, version and architecture is installed."""
        return identity in self._identities

    def header(self, one: Held) -> Header:
        """Return a package's header, as it was when the database was last read; raises `Malformed`."""
        try:
            return Header(self._database.blob(one.number))
        except ValueError as error:
            raise Malformed(f"the header of {one.package.name} cannot be read: {error}") from error

    def files(self, one: Held) -> Mapping[bytes, RpmFile]:
        """Return what a package holds, by path; raises `Malformed`."""
        if one.digest not in self._files:
            if len(self._files) >= _KEPT:
                self._files.clear()
            try:
                found = files(self.header(one))
            except ValueError as error:
                raise Malformed(f"the files of {one.package.name} cannot be read: {error}") from error
            self._files[one.digest] = {each.shipped.path: each for each in found}
        return self._files[one.digest]

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
