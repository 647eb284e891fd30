"""What freshclam leaves behind and what the makers of ClamAV announce: `freshclam.dat`, its log, and the TXT record of versions."""

import re
import struct

from contracts.errors import Malformed
from contracts.record import Record

MAGIC = b"FreshClamData"
_DAT = struct.Struct("<I37s7xq")
"""Version of the format, a name for this installation, and until when the servers want to be left alone (seconds since 1970, 0: not)."""
_COMPLAINT = re.compile(r"(ERROR|WARNING): ?(.*)")
_STAMP = re.compile(r"\w{3} \w{3} +\d+ [\d:]{8} \d{4} -> ?")
_GENERAL = re.compile(r"(Database )?[Uu]pdate (process )?failed|.*fc_download_url_databases: ")
"""What it says at the end of whatever went wrong: that it did, and no more."""
_CAUSE = re.compile(r"Message: (.+)")
"""How the transfer failed, a part of the complaint before the one that says what was not found."""
_GOOD = ("is up-to-date", "is up to date", "updated (version", "Database updated")
"""The last words of a run that did what it was for; complaints before them are past."""
_TXT = re.compile(r"\d+(\.\d+)*[^:]*(:-?\d+){7,12}")


class Current(Record):
    """The newest versions there are, as announced; `at_ms` when that was written."""

    main: int
    daily: int
    bytecode: int
    at_ms: int


def retry_after_ms(dat: bytes) -> int:
    """Return until when freshclam is on cool-down (Unix ms), 0 when it is not; raises `Malformed`."""
    if not dat.startswith(MAGIC) or len(dat) < len(MAGIC) + _DAT.size:
        raise Malformed("freshclam.dat is not in a form that is known here")
    version, _, after_s = _DAT.unpack_from(dat, len(MAGIC))
    if version != 1:
        raise Malformed(f"freshclam.dat is of version {version}, and 1 is known here")
    return max(0, int(after_s)) * 1000


def current(txt: str) -> Current:
    """Return the versions in the TXT record of current.cvd.clamav.net: engine:main:daily:time:warning:level:safebrowsing:bytecode.

    Raises `Malformed`.
    """
    if not _TXT.fullmatch(txt) or len(txt) > 200:
        raise Malformed(f"this is no record of versions: {txt[:80]!r}")
    fields = txt.split(":")
    return Current(main=int(fields[1]), daily=int(fields[2]), at_ms=int(fields[3]) * 1000, bytecode=int(fields[7]))


def trouble(log: str) -> str:
    """Return freshclam's last complaint since it last did what it is for, "" for none. `log` is the end of its log.

    The last one that says why; that it failed says only where nothing else does.
    """
    found, cause, general = "", "", ""
    for line in log.splitlines():
        text = _STAMP.sub("", line.strip(), count=1)
        complaint = _COMPLAINT.search(text)
        if complaint is not None and complaint[2]:
            said = f"{complaint[1].lower()}: {complaint[2].strip()}"
            if _GENERAL.match(complaint[2].strip()):
                general = said
                continue
            found = said
            transfer = _CAUSE.search(text)
            cause = transfer[1].strip() if transfer is not None else cause
        elif any(word in text for word in _GOOD):
            found = cause = general = ""
    found = found or general
    if cause and cause not in found:
        found += f" ({cause})"
    return "".join(char if char.isprintable() else "?" for char in found)[:300]
