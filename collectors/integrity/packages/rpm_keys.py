"""Public keys that may prove an rpm: those in key files, which the distribution ships, never those that only rpm's own database holds."""

import os
from collections.abc import Iterable, Iterator, Mapping

from analysis.integrity.openpgp import Signature, unarmoured
from collectors.integrity.packages.openpgp_verify import SigningKey, signing_keys, verifies
from contracts.errors import Unavailable
from contracts.host import ReadOnlyHost

FOLDERS = ("/etc/pki/rpm-gpg", "/usr/lib/rpm/gnupg/keys")
"""Fedora's and its kin's, and SUSE's."""
_MOST_KEYRING = 8 << 20


class RpmKeys:
    """Reads the key files, again when they have changed."""

    def __init__(self, host: ReadOnlyHost) -> None:
        self._files = host.files
        self._stamp: tuple[object, ...] | None = None
        self._by_id: dict[str, list[SigningKey]] = {}
        self.flaws: tuple[str, ...] = ()

    def stamp(self) -> tuple[object, ...]:
        """Return a mark of the key files, another one after each change."""
        found = []
        for path in self._paths():
            try:
                stat = self._files.stat(path)
            except Unavailable:
                continue  # it was there a moment ago
            found.append((path, stat.mtime_ns, stat.ctime_ns, stat.size))
        return tuple(found)

    def read(self) -> Mapping[str, list[SigningKey]]:
        """Return the keys by id (16 digits); `flaws` says what is left out and why."""
        stamp = self.stamp()
        if stamp != self._stamp:
            self._by_id, flaws = {}, []
            for path in self._paths():
                try:
                    content = self._files.read(path, _MOST_KEYRING)
                    is_armoured = b"-----BEGIN PGP" in content
                    keys, left_out = signing_keys(unarmoured(content) if is_armoured else content)
                except (Unavailable, ValueError) as error:
                    flaws.append(f"{path}: {error}")
                    continue
                flaws += [f"{path}: {flaw}" for flaw in left_out]
                for one in keys:
                    self._by_id.setdefault(one.key.key_id, []).append(one)
            self._stamp, self.flaws = stamp, tuple(flaws)
        return self._by_id

    def fingerprints(self) -> frozenset[str]:
        """Return the primary keys of all that is in key files."""
        return frozenset(one.primary for keys in self.read().values() for one in keys)

    def signer(self, made: Signature, parts: Iterable[bytes]) -> str | None:
        """Return the primary key of who made a signature, "" where no key file has its key, None where it is not good."""
        by_id, held = self.read(), list(parts)
        keys = by_id.get(made.key_id, []) if made.key_id else [one for many in by_id.values() for one in many]
        good = next((one.primary for one in keys if verifies(made, one.key, held)), None)
        if good is None and (not keys or not made.key_id):
            return ""
        return good

    def _paths(self) -> Iterator[str]:
        for folder in FOLDERS:
            try:
                names = self._files.names(folder)
            except Unavailable:
                continue  # there is no such folder on this distribution
            yield from (f"{folder}/{name}" for name in sorted(os.fsdecode(raw) for raw in names))
