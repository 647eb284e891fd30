"""ClamAV's databases in their folder: each header, each checksum, each digital signature; those of third parties by name."""

import hashlib
import os

from msgspec.structs import replace

from analysis.antivirus import cvd
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import FileStat, ReadOnlyHost
from contracts.subjects.antivirus import Database
from contracts.text import escape

CONTAINERS = frozenset({"cvd", "cld", "cud"})
FORMS = CONTAINERS | frozenset(
    ["hdb", "hsb", "hdu", "hsu", "mdb", "msb", "mdu", "msu", "ndb", "ndu", "ldb", "ldu", "sdb", "db", "zmd", "rmd", "idb",
     "fp", "sfp", "ftm", "cfg", "cbc", "cdb", "crb", "gdb", "pdb", "wdb", "cat", "ign", "ign2", "imp", "info", "yar", "yara",
     "ioc", "pwdb"]
)  # fmt: skip
"""Suffixes that clamd loads (`dbstat` of libclamav)."""
VERIFY_S = 60.0
_CHUNK = 1 << 20
_MOST_NAMES = 2000
_GOOD, _BAD = b"Verification OK", b"Can't verify database integrity"


def databases(
    host: ReadOnlyHost, folder: str, known: tuple[Database, ...], blind: list[Blind], unknown: list[str]
) -> tuple[Database, ...]:
    """Return what lies in the folder, by name. What `known` says of a file that has not changed since is taken over."""
    try:
        names = sorted(host.files.names(folder))
    except Unavailable as error:
        if error.why is not Why.NOT_PRESENT:
            blind.append(Blind(what="ClamAV's databases", why=error.why, detail=error.message, fix=error.advice))
            unknown.append(error.message)
        return ()
    if len(names) > _MOST_NAMES:
        detail = f"{folder} holds {len(names)} files, of which {_MOST_NAMES} are looked at"
        blind.append(
            Blind(what="ClamAV's databases", why=Why.TOO_LARGE, detail=detail, fix="Remove what is none of them.")
        )
        unknown.append(detail)
    before = {(each.name, each.form): each for each in known}
    found = []
    for raw in names[:_MOST_NAMES]:
        name, _, form = escape(raw).rpartition(".")
        if name and form in FORMS:
            each = _database(host, f"{folder}/{os.fsdecode(raw)}", name, form, before.get((name, form)))
            if each is not None:
                found.append(each)
    if not host.commands.present("sigtool") and any(each.signed == "unchecked" for each in found):
        blind.append(
            Blind(
                what="whether the digital signatures of ClamAV's databases are right",
                why=Why.TOOL_MISSING,
                detail="sigtool is not installed",
                fix="Install the package clamav.",
            )
        )
    return tuple(found)


def _database(host: ReadOnlyHost, path: str, name: str, form: str, before: Database | None) -> Database | None:
    try:
        stat = host.files.stat(path)
    except Unavailable as error:
        return None if error.why is Why.NOT_PRESENT else Database(name=name, form=form, flaw=error.message)
    changed_ms = stat.ctime_ns // 1_000_000
    if before is not None and (before.changed_ms, before.bytes, before.inode) == (changed_ms, stat.size, stat.inode):
        again = before.signed == "unchecked" and form == "cvd" and host.commands.present("sigtool")
        if not (before.flaw or again):
            return before
    plain = Database(name=name, form=form, bytes=stat.size, changed_ms=changed_ms, inode=stat.inode)
    return _container(host, path, plain, stat) if form in CONTAINERS else plain


def _container(host: ReadOnlyHost, path: str, plain: Database, stat: FileStat) -> Database:
    """Return what a container says of itself, and whether that is right."""
    try:
        head = cvd.parse(host.files.head(path, cvd.SIZE))
    except Malformed as error:
        return _with(plain, flaw=error.message)
    except Unavailable as error:
        return _with(plain, flaw=error.message)
    signed, flaw = "unsigned", ""
    if plain.form == "cvd" and head.signed:
        signed = _verified(host, path)
    if plain.form == "cud" or signed == "unchecked":
        flaw = _checksum(host, path, head.md5, stat.size) if plain.form != "cld" else ""
    if plain.form == "cld":
        signed = "unchecked" if head.signed else "unsigned"
    return _with(
        plain,
        version=head.version,
        built_ms=head.built_ms,
        signatures=head.signatures,
        level=head.level,
        builder=head.builder,
        signed=signed,
        flaw=flaw,
    )


def _with(plain: Database, **more: object) -> Database:
    return replace(plain, **more)


def _verified(host: ReadOnlyHost, path: str) -> str:
    """What sigtool says of the digital signature: `verified`, `bad`, or `unchecked` where it could not be asked."""
    try:
        answer = host.commands.ask("sigtool", "--info", path, timeout_s=VERIFY_S)
    except Unavailable:
        return "unchecked"  # that sigtool is missing is a blind spot of the whole folder
    said = answer.stdout + answer.stderr
    if _GOOD in said and answer.code == 0:
        return "verified"
    return "bad" if _BAD in said else "unchecked"


def _checksum(host: ReadOnlyHost, path: str, md5: str, size: int) -> str:
    """Why what follows the header is not what the header says, "" when it is; it tells half a file, not one that was made on purpose."""
    opened = host.openings.one(os.fsencode(path))
    if opened.flaw:
        return opened.flaw
    try:
        digest, at = hashlib.md5(usedforsecurity=False), cvd.SIZE
        while at < size and (piece := os.pread(opened.descriptor, _CHUNK, at)):
            digest.update(piece)
            at += len(piece)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    finally:
        os.close(opened.descriptor)
    return "" if digest.hexdigest() == md5 else "it does not hold what its header says: half-written, or changed"
