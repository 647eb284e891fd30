"""What the records of pip and npm say of a file: digests in RECORD, and in npm's lock the tarball's; nobody signs either. Pure."""

import base64
import csv
import stat
from collections.abc import Iterator

import msgspec

from contracts.codec import UNDECODABLE
from contracts.file_change import Change
from contracts.provenance import Knowledge, Level, Provenance

_MOST = 8 << 20
_MODULES = b"/node_modules/"
_SITES = (b"/site-packages/", b"/dist-packages/")


def recorded(change: Change, known: Knowledge) -> Provenance | None:
    """Return what a record of pip's says of the file, or what npm's lock says of its folder; None when there is neither."""
    if _MODULES in change.path:
        return _locked(change, known)
    site = next((mark for mark in _SITES if mark in change.path), None)
    if site is None or change.after is None or not stat.S_ISREG(change.after.mode):
        return None
    root, _, name = change.path.partition(site)
    folder = root + site.rstrip(b"/")
    for info in _candidates(known.names(folder), name):
        content = known.read(folder + b"/" + info + b"/RECORD", _MOST)
        if content is None:
            continue
        package, version = _named(info)
        if name == info + b"/RECORD":
            return None
        digest = dict(record_digests(content)).get(name)
        if digest is None:
            continue
        if digest == change.after.content and not change.after.mode & 0o6000:
            basis = f"as the record of {package} {version} says, which nobody signed"
            return Provenance(level=Level.RECORDED, basis=basis, package=package, version=version)
        basis = f"{package} {version} recorded another content when it was installed"
        return Provenance(basis=basis, package=package, version=version, contradicts=True)
    return None


def _locked(change: Change, known: Knowledge) -> Provenance | None:
    """Say which package npm's own lock has in the file's folder: that is no digest of the file, so it accounts for nothing."""
    root, _, rest = change.path.partition(_MODULES)
    content = known.read(root + _MODULES + b".package-lock.json", _MOST)
    packages = locked_packages(content) if content is not None else {}
    parts = ("node_modules/" + rest.decode("utf-8", "surrogateescape")).split("/")
    folder = next((name for at in range(len(parts) - 1, 1, -1) if (name := "/".join(parts[:at])) in packages), "")
    if not folder:
        return None
    name, version = folder.rpartition("node_modules/")[2], packages[folder][0]
    basis = f"in the folder of {name} {version}, as npm's lock has it, which holds no digest of a file"
    return Provenance(basis=basis, package=name, version=version)


def _candidates(names: object, name: bytes) -> Iterator[bytes]:
    """Yield the dist-info folders, those first whose name begins as the file's own folder does."""
    assert isinstance(names, (list, tuple))
    infos = [each for each in names if each.endswith(b".dist-info")]
    top = name.partition(b"/")[0].removesuffix(b".py").lower().replace(b"-", b"_")
    infos.sort(key=lambda each: (not each.lower().replace(b"-", b"_").startswith(top), each))
    yield from infos


def _named(info: bytes) -> tuple[str, str]:
    package, _, version = info.removesuffix(b".dist-info").decode("utf-8", "replace").partition("-")
    return package, version


def record_digests(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield path and SHA-256 of each line of a RECORD file (PEP 376, 427); lines without one, or of other sorts, are passed over."""
    text = content.decode("utf-8", "surrogateescape")
    for row in csv.reader(text.splitlines()):
        if len(row) != 3 or not row[1].startswith("sha256="):
            continue
        value = row[1].removeprefix("sha256=")
        try:
            digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        except ValueError:
            continue
        if len(digest) == 32:
            yield row[0].encode("utf-8", "surrogateescape"), digest


def locked_packages(content: bytes) -> dict[str, tuple[str, str]]:
    """Return version and integrity by folder of a package-lock.json (`node_modules/NAME`); {} for what is no such file.

    The integrity is of the tarball, so it says which package a folder should be, not what its files hold.
    """
    try:
        found = msgspec.json.decode(content)
    except UNDECODABLE:
        return {}
    packages = found.get("packages") if isinstance(found, dict) else None
    if not isinstance(packages, dict):
        return {}
    return {
        folder: (str(entry.get("version", "")), str(entry.get("integrity", "")))
        for folder, entry in packages.items()
        if isinstance(folder, str) and folder and isinstance(entry, dict)
    }
