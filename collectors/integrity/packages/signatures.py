"""Which of apt's lists are signed, and by whom: gpgv asked with the keyrings that apt would use for that source (apt-secure(8))."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from analysis.integrity.debian import IndexFile, Source, good_signers, release_files, sources
from analysis.integrity.openpgp import unarmoured
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

APT, LISTS = "/etc/apt", "/var/lib/apt/lists"
_MOST_RELEASE = 32 << 20
_MOST_KEYRING = 8 << 20


class SignedRelease(Record):
    """One suite whose Release was verified: who signed it, the files it names by path, and the source it belongs to."""

    source: Source
    signers: tuple[str, ...]
    files: Mapping[str, IndexFile]


class Signatures:
    """Verifies Releases. `folder` is one of our own, for keyrings that gpgv cannot read as they lie (armoured ones)."""

    def __init__(self, host: ReadOnlyHost, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._known: dict[tuple[str, int, int, str], SignedRelease] = {}

    def releases(self) -> tuple[list[SignedRelease], list[str]]:
        """Return the verified suites of every source, and a sentence for each one that could not be verified."""
        found, flaws = [], []
        for source in self._sources():
            try:
                found.append(self._release(source))
            except Unavailable as error:
                flaws.append(f"{source.list_prefix}: {error.message}")
        return found, flaws

    def has_local(self) -> bool:
        """Say whether any source is a folder of this machine."""
        return any(source.local for source in self._sources())

    def _sources(self) -> list[Source]:
        texts = {}
        for path in self._source_files():
            try:
                texts[path] = self._host.files.read(path).decode("utf-8", "replace")
            except Unavailable:
                continue  # a list that is there and cannot be read leaves its packages unproved, which is what is said of them
        return sources(texts)

    def _source_files(self) -> Iterator[str]:
        yield f"{APT}/sources.list"
        yield from self._named(f"{APT}/sources.list.d", (".list", ".sources"))

    def _named(self, folder: str, endings: tuple[str, ...]) -> Iterator[str]:
        try:
            names = self._host.files.names(folder)
        except Unavailable:
            return
        for name in sorted(os.fsdecode(raw) for raw in names):
            if name.endswith(endings):
                yield f"{folder}/{name}"

    def _release(self, source: Source) -> SignedRelease:
        """Verify a source's InRelease, or its Release with a signature beside it; raises `Unavailable`."""
        plain = f"{LISTS}/{source.list_prefix}"
        try:
            stat = self._host.files.stat(plain + "InRelease")
            path = plain + "InRelease"
        except Unavailable:
            stat = self._host.files.stat(plain + "Release")
            path = plain + "Release"
        key = (path, stat.mtime_ns, stat.ctime_ns, self._print(source))
        if key not in self._known:
            self._known = {each: held for each, held in self._known.items() if each[0] != path}
            self._known[key] = self._verified(source, path)
        return self._known[key]

    def _verified(self, source: Source, path: str) -> SignedRelease:
        rings = list(self._keyrings(source))
        if not rings:
            raise Unavailable(
                Why.NOT_PRESENT, "no keyring that apt trusts for it", advice="install the archive's keyring"
            )
        words = [word for ring in rings for word in ("--keyring", ring)]
        inside = path.endswith("InRelease")
        files = ["--output", "-", path] if inside else [f"{path}.gpg", path]
        done = self._host.commands.ask("gpgv", "--status-fd", "2", *words, *files, max_bytes=_MOST_RELEASE)
        signers = good_signers(done.stderr.decode("utf-8", "replace"))
        wanted = _fingerprints(source.signed_by)
        if wanted:
            signers = tuple(each for each in signers if each in wanted)
        if not signers:
            raise Unavailable(
                Why.MALFORMED, "it has no good signature of a key that apt trusts for it", advice="run apt update"
            )
        text = done.stdout if inside else self._host.files.read(path, _MOST_RELEASE)
        return SignedRelease(source=source, signers=signers, files=release_files(text.decode("utf-8", "replace")))

    def _keyrings(self, source: Source) -> Iterator[str]:
        said = source.signed_by
        if said.startswith("/"):
            yield from filter(None, (self._readable(path.strip()) for path in said.replace(",", " ").split()))
        elif "BEGIN PGP" in said:
            yield self._kept(_unarmoured(said.encode()))
        else:
            paths = [f"{APT}/trusted.gpg", *self._named(f"{APT}/trusted.gpg.d", (".gpg", ".asc"))]
            yield from filter(None, (self._readable(path) for path in paths))

    def _readable(self, path: str) -> str:
        """Return a path that gpgv can read: the keyring itself, or ours of an armoured one; "" for one that is not there."""
        try:
            content = self._host.files.read(path, _MOST_KEYRING)
        except Unavailable:
            return ""
        return self._kept(_unarmoured(content)) if content.lstrip().startswith(b"-----BEGIN") else path

    def _kept(self, ring: bytes) -> str:
        path = self._folder / f"{hashlib.sha256(ring).hexdigest()[:32]}.gpg"
        if not path.exists() or path.read_bytes() != ring:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ring)
        return str(path)

    def _print(self, source: Source) -> str:
        """Return a digest that changes when a keyring of the source does."""
        digest = hashlib.sha256(source.signed_by.encode())
        for ring in self._keyrings(source):
            digest.update(self._host.files.read(ring, _MOST_KEYRING))
        return digest.hexdigest()


def _fingerprints(signed_by: str) -> frozenset[str]:
    """Return the fingerprints that Signed-By asks for, none when it names keyrings."""
    words = signed_by.replace(",", " ").replace("!", "").split()
    return frozenset(word for word in words if len(word) == 40 and not word.startswith("/"))


def _unarmoured(content: bytes) -> bytes:
    try:
        return unarmoured(content)
    except ValueError as error:
        raise Unavailable(Why.MALFORMED, str(error), advice="install it anew") from error
