"""The header of ClamAV's databases (CVD, CLD, CUD): the first 512 bytes, colons between its fields, filled up with spaces.

`ClamAV-VDB:TIME:VERSION:SIGNATURES:LEVEL:MD5:DSIG:BUILDER:STIME`, where STIME are seconds since 1970 (libclamav, cvd.c). A container that
was built from an older version by differences (CLD) keeps the fields; its own signature covers only what is inside.
"""

from contracts.errors import Malformed
from contracts.record import Record

SIZE = 512
_MAGIC = b"ClamAV-VDB"
_FIELDS = 9
_MOST = 1 << 40


class Head(Record):
    """What the header says; `built_ms` in Unix ms, `md5` of what follows it, `signed` whether it bears what could be a signature."""

    version: int
    built_ms: int
    signatures: int
    level: int
    builder: str
    signed: bool
    md5: str = ""


def parse(head: bytes) -> Head:
    """Return what a database's first bytes say; raises `Malformed`."""
    if len(head) < SIZE:
        raise Malformed(f"the file ends after {len(head)} bytes, within its header")
    fields = head[:SIZE].rstrip(b" \n\r\0").split(b":")
    if fields[0] != _MAGIC:
        raise Malformed("it does not begin like a database of ClamAV")
    if len(fields) != _FIELDS:
        raise Malformed(f"its header has {len(fields)} fields instead of {_FIELDS}")
    version, signatures, level = (_number(fields[place], name) for place, name in _NUMBERS)
    built_s = _number(fields[8], "build time")
    return Head(
        version=version,
        built_ms=built_s * 1000,
        signatures=signatures,
        level=level,
        builder="".join(char if char.isprintable() else "?" for char in fields[7].decode("ascii", "replace")),
        signed=len(fields[6]) > 1,
        md5=fields[5].decode("ascii", "replace").lower(),
    )


_NUMBERS = ((2, "version"), (3, "number of signatures"), (4, "level"))


def _number(field: bytes, name: str) -> int:
    if not field.isdigit() or int(field[:20]) > _MOST or len(field) > 20:
        raise Malformed(f"its {name} is no number: {field[:30]!r}")
    return int(field)


def version_of(answer: str) -> tuple[str, int, str]:
    """Return engine, daily version and the time text in clamd's answer to VERSION: `ClamAV 1.4.3/27695/Mon Jul  7 10:35:55 2025`.

    A daemon without a daily database says only its engine: the version is -1 then, the text empty. Raises `Malformed`.
    """
    parts = answer.strip("\0\n ").split("/", 2)
    if not parts[0].startswith("ClamAV "):
        raise Malformed(f"clamd does not say its version: {answer[:60]!r}")
    engine = parts[0].removeprefix("ClamAV ").strip()
    if len(parts) < 3 or not parts[1].isdigit() or len(parts[1]) > 12:
        return engine, -1, ""
    return engine, int(parts[1]), parts[2].strip()
