"""What antivirus states of files, wherever they are scanned: as they change, in a scan, in a proof."""

from collections.abc import Mapping

from msgspec.structs import replace

from contracts.event import Event, FieldType, Kind, Lane, Severity
from contracts.openings import Opened, Openings
from contracts.subjects import antivirus
from contracts.text import escape

_FILE: Mapping[str, FieldType] = {"path": "str", "size": "int", "owner_uid": "int", "how": "str"}
FOUND = Kind(
    name=antivirus.FOUND,
    meaning="An antivirus daemon recognised a file as malicious.",
    title="{signature} in {path} ({how})",
    severity=Severity.CRITICAL,
    fields={**_FILE, "signature": "str", "sha256": "str", "inode": "int", "device": "int"},
    attack=("T1204.002",),
    advice="Isolate the file (`holdfast antivirus quarantine add PATH`), then find out how it came and what it has done.",
    lane=Lane.CRITICAL,
)
NOT_SCANNED = Kind(
    name="antivirus.not_scanned",
    meaning="Files that changed, or that a scan was to look at, were not scanned, or not as a whole: nothing is known of them.",
    title="{files} files were not scanned: {detail}",
    severity=Severity.LOW,
    fields={"files": "int", "detail": "str", "paths": "list"},
    advice="See the reasons; raise clamd's limits or this one, or look at the files by other means.",
    lane=Lane.BULK,
)
EICAR_PARTS = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
"""The harmless test file of the European Institute for Computer Antivirus Research, in two parts: no scanner shall find it here."""
DRILL_PREFIX = b"holdfast-drill-"
"""How names of test files begin that a proof has written; what follows is the proof's id."""


DIGEST_BYTES = 64 << 20
"""Of files up to this size the digest is stated."""


def found(openings: Openings, opened: Opened, signature: str, how: str) -> Event:
    """State what was found in an open file; a test file that a proof has written is a drill, and no alarm."""
    drill = drill_of(opened.path, openings.head(opened, len(eicar()) + 1))
    event = FOUND.event(
        escape(opened.path),
        severity=Severity.INFORMATIONAL if drill else None,
        path=escape(opened.path)[:4096],
        signature=signature,
        size=opened.size,
        owner_uid=opened.uid,
        sha256=openings.sha256(opened, DIGEST_BYTES) or None,
        inode=opened.inode,
        device=opened.device,
        how=how,
    )
    return replace(event, drill=drill)


def eicar() -> bytes:
    """Return the test file's content, 68 bytes."""
    return "".join(EICAR_PARTS).encode()


def drill_of(path: bytes, content: bytes) -> str:
    """Return the id of the proof that wrote a file, "" for none.

    The content decides: whoever names malware like a test file gains nothing by it.
    """
    name = path.rpartition(b"/")[2]
    if not name.startswith(DRILL_PREFIX) or content != eicar():
        return ""
    return name.removeprefix(DRILL_PREFIX).decode("ascii", "replace")[:64]
