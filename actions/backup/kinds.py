"""The kinds of events that backups state."""

from collections.abc import Mapping

from contracts.event import FieldType, Kind, Severity
from contracts.subjects import backup as names

RUN_FIELDS: Mapping[str, FieldType] = {
    "job": "str",
    "repository": "str",
    "snapshot": "str",
    "files": "int",
    "files_new": "int",
    "files_changed": "int",
    "bytes_total": "int",
    "bytes_read": "int",
    "bytes_added": "int",
    "unreadable": "int",
    "noted": "int",
    "seconds": "float",
    "paused_s": "float",
    "paths": "list",
}

FINISHED = Kind(
    name=names.FINISHED,
    meaning="A backup job saved everything that it was to save.",
    title="Backup {job}: {files} files, {bytes_added} bytes new, in {seconds:.0f} s, snapshot {snapshot:.8}",
    severity=Severity.INFORMATIONAL,
    fields=RUN_FIELDS,
    ocsf_class=6002,
)
PARTIAL = Kind(
    name=names.PARTIAL,
    meaning="A backup job made a snapshot, but some of what it was to save could not be read and is not in it.",
    title="Backup {job}: {unreadable} paths could not be read, among them {paths}",
    severity=Severity.MEDIUM,
    fields=RUN_FIELDS,
    advice="See `holdfast backup list` and the paths named here; exclude what need not be saved.",
    ocsf_class=6008,
)
FAILED = Kind(
    name=names.FAILED,
    meaning="A backup job ended without a snapshot; the last good one is as old as it was.",
    title="Backup {job} failed: {detail}",
    severity=Severity.HIGH,
    fields={
        "job": "str",
        "repository": "str",
        "detail": "str",
        "advice_given": "str",
        "code": "int",
        "seconds": "float",
    },
    advice="The detail names what would do; run it again with `holdfast backup run`.",
    ocsf_class=6008,
)
CLOCK_BEHIND = Kind(
    name="backup.clock_behind",
    meaning="A repository holds a snapshot from the future: this host's clock was or is wrong, which misleads retention.",
    title="Backup {job}: the newest snapshot is dated {ahead_s:.0f} s ahead of this host's clock",
    severity=Severity.MEDIUM,
    fields={"job": "str", "snapshot": "str", "ahead_s": "float"},
    advice="Set the clock; then forget the snapshots that bear a wrong time.",
    ocsf_class=6008,
)
KINDS = (FINISHED, PARTIAL, FAILED, CLOCK_BEHIND)
