"""Finds packages in apt's lists of packages, each list hashed while it is read and believed only when a signed Release names that hash."""

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from analysis.integrity.debian import Stanza, index_stanza, stanzas
from collectors.integrity.packages.compressed import BROKEN, opened
from collectors.integrity.packages.signatures import LISTS, SignedRelease
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

_CHUNK = 1 << 20
_ENDINGS = ("", ".gz", ".xz", ".zst", ".bz2", ".lz4", ".lzma")
_PACKAGES = re.compile(r"(?:.*/)?Packages")
_NAME = re.compile(rb"^Package: ?(\S+)$", re.M)


class Found(Record):
    """A package that a verified list names, and who signed for it."""

    stanza: Stanza
    signers: tuple[str, ...]
    origin: str
    base: str


def find(host: ReadOnlyHost, releases: Iterable[SignedRelease], names: frozenset[str]) -> tuple[list[Found], list[str]]:
    """Return every version of the packages `names` that verified lists name, and a sentence for each list that does not verify."""
    found: list[Found] = []
    flaws: list[str] = []
    for release in releases:
        for file in release.files.values():
            if not _PACKAGES.fullmatch(file.path):
                continue
            path = f"{LISTS}/{release.source.list_prefix}{file.path.replace('/', '_')}"
            kept = next((path + ending for ending in _ENDINGS if Path(path + ending).exists()), "")
            if not kept:
                continue  # of another architecture or component: apt keeps only what its sources ask for
            try:
                held = list(_matching(_pieces(host, kept), names, file.sha256))
            except BROKEN as error:
                flaws.append(f"{kept}: {error}")
                continue
            where = release.source.list_prefix.rstrip("_")
            found += [
                Found(stanza=each, signers=release.signers, origin=where, base=release.source.base) for each in held
            ]
    return found, flaws


def _pieces(host: ReadOnlyHost, path: str) -> Iterator[bytes]:
    if path.endswith(".lz4"):
        yield from host.pieces("apt-helper", "cat-file", path)
        return
    with Path(path).open("rb") as raw:
        plain = opened(raw, path)
        while piece := plain.read(_CHUNK):
            yield piece


def _matching(pieces: Iterable[bytes], names: frozenset[str], sha256: str) -> Iterator[Stanza]:
    """Yield the stanzas of `names`, all of them only after the whole list was found to be the signed one."""
    whole, rest = hashlib.sha256(), b""
    kept: list[str] = []
    wanted = {name.encode() for name in names}
    for piece in pieces:
        whole.update(piece)
        block = rest + piece
        end = block.rfind(b"\n\n")
        if end < 0:
            rest = block
            continue
        rest = block[end + 2 :]
        kept += _chosen(block[: end + 2], wanted)
    kept += _chosen(rest, wanted)
    if whole.hexdigest() != sha256:
        raise Unavailable(
            Why.MALFORMED, "its content is not the one that the signed Release names", advice="run apt update"
        )
    yield from filter(None, (index_stanza(fields) for text in kept for fields in stanzas(text.splitlines())))


def _chosen(block: bytes, wanted: set[bytes]) -> Iterator[str]:
    for match in _NAME.finditer(block):
        if match[1] in wanted:
            start = block.rfind(b"\n\n", 0, match.start()) + 2 if match.start() else 0
            end = block.find(b"\n\n", match.end())
            yield block[max(0, start) : end if end >= 0 else len(block)].decode("utf-8", "replace")
