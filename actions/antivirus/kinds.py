"""What the deeds about malware state."""

from collections.abc import Mapping

from contracts.event import FieldType, Kind, Lane, Severity
from contracts.subjects import antivirus

_PRODUCT: Mapping[str, FieldType] = {"product": "str", "detail": "str"}
CURRENT = Kind(
    name=antivirus.CURRENT,
    meaning="It was found out which version of signatures is the newest there is.",
    title="Version {newest} of the signatures of {product} is current ({source})",
    severity=Severity.INFORMATIONAL,
    fields={"product": "str", "newest": "int", "source": "str", "announced_ms": "int"},
    ocsf_class=6002,
    lane=Lane.BULK,
)
UPDATED = Kind(
    name=antivirus.UPDATED,
    meaning="Newer signatures were brought, are in their place, and the daemon works with them as far as is said.",
    title="Signatures of {product}: {former_version} -> {newest}, {detail}",
    severity=Severity.INFORMATIONAL,
    fields={
        **_PRODUCT,
        "former_version": "int",
        "newest": "int",
        "loaded": "int",
        "seconds": "float",
        "databases": "list",
    },
    ocsf_class=6002,
)
UPDATE_FAILED = Kind(
    name=antivirus.UPDATE_FAILED,
    meaning="Signatures could not be brought up to date; those that were there are still in place.",
    title="Signatures of {product} could not be updated: {detail}",
    severity=Severity.MEDIUM,
    fields={**_PRODUCT, "seconds": "float"},
    advice="See the reason; `holdfast antivirus update` tries again.",
    ocsf_class=6008,
)
UPDATE_HELD = Kind(
    name=antivirus.UPDATE_HELD,
    meaning="Signatures are not the newest, and were not updated for a reason that passes: a cool-down, or too little memory.",
    title="Signatures of {product} were not updated yet: {detail}",
    severity=Severity.LOW,
    fields={**_PRODUCT, "until_ms": "int"},
    ocsf_class=6008,
)
SCANNED = Kind(
    name=antivirus.SCANNED,
    meaning="A scan has ended.",
    title="Scanned {files} files in {seconds:.0f} s: {infected} infected, {unscanned} not scanned, {unchanged} known; {detail}",
    severity=Severity.INFORMATIONAL,
    fields={
        "files": "int",
        "bytes": "int",
        "infected": "int",
        "unscanned": "int",
        "unchanged": "int",
        "first": "int",
        "complete": "bool",
        "seconds": "float",
        "paused_s": "float",
        "detail": "str",
        "paths": "list",
    },
    ocsf_class=6002,
)
SCAN_FAILED = Kind(
    name=antivirus.SCAN_FAILED,
    meaning="A scan could not go on: nothing is known of what it did not reach.",
    title="The scan failed after {files} files: {detail}",
    severity=Severity.MEDIUM,
    fields={"files": "int", "seconds": "float", "detail": "str"},
    advice="See whether clamd runs: systemctl status clamav-daemon.",
    ocsf_class=6008,
)
_HELD: Mapping[str, FieldType] = {
    "path": "str",
    "entry": "str",
    "signature": "str",
    "package": "str",
    "who": "str",
    "detail": "str",
}
QUARANTINED = Kind(
    name=antivirus.QUARANTINED,
    meaning="A malicious file was moved out of reach.",
    title="{path} is in quarantine as {entry} ({signature}){detail}",
    severity=Severity.MEDIUM,
    fields=_HELD,
    advice="Find out how it came; `holdfast antivirus quarantine restore` brings it back should it be harmless.",
)
RESTORED = Kind(
    name=antivirus.RESTORED,
    meaning="A file was brought back from quarantine.",
    title="{path} was brought back from quarantine by {who}{detail}",
    severity=Severity.MEDIUM,
    fields=_HELD,
)
DELETED = Kind(
    name=antivirus.DELETED,
    meaning="A file in quarantine was deleted for good.",
    title="{path} was deleted from quarantine by {who}{detail}",
    severity=Severity.INFORMATIONAL,
    fields=_HELD,
)
PLANTED = Kind(
    name=antivirus.PLANTED,
    meaning="A harmless test file was written into a watched folder, to see whether it is found.",
    title="A test file was written to {path}",
    severity=Severity.INFORMATIONAL,
    fields={"path": "str", "proof": "str", "within_s": "float", "valid_s": "float"},
    ocsf_class=6002,
)
