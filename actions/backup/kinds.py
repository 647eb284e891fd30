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
    "waited": "str",
    "paths": "list",
    "databases": "list",
}

FINISHED = Kind(
    name=names.FINISHED,
    meaning="A backup job saved everything that it was to save.",
    title="Backup {job}: {files} files, {bytes_added} bytes new, in {seconds:.0f} s, snapshot {snapshot:.8}{waited}",
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
    meaning="A backup job ended without a snapshot of its paths; the last good one is as old as it was.",
    title="Backup {job} failed: {detail}",
    severity=Severity.HIGH,
    fields={
        "job": "str",
        "repository": "str",
        "detail": "str",
        "advice_given": "str",
        "code": "int",
        "seconds": "float",
        "databases": "list",
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
_STEP: Mapping[str, FieldType] = {"job": "str", "detail": "str"}
ANOMALY_SUSPECTED = Kind(
    name=names.ANOMALY_SUSPECTED,
    meaning="A run of a backup looks as if files were encrypted, renamed or removed by an attacker; retention is held, the last good "
    "snapshot stays.",
    title="Backup {job}: an anomaly is suspected in snapshot {snapshot:.8}: {detail}",
    severity=Severity.HIGH,
    fields={
        **_STEP,
        "snapshot": "str",
        "good": "list",
        "measures": "list",
        "paths": "list",
        "files_before": "int",
        "files_changed": "int",
        "files_new": "int",
        "files_lost": "int",
        "files_turned": "int",
    },
    attack=("T1486", "T1485"),
    advice="Look at the files that are named, and at `holdfast backup diff` with the good snapshot; then `holdfast backup acknowledge`.",
    ocsf_class=2004,
)
ANOMALY_ACKNOWLEDGED = Kind(
    name=names.ANOMALY_ACKNOWLEDGED,
    meaning="A person has looked at a suspected anomaly of a backup; retention goes on.",
    title="Backup {job}: {who} acknowledged the anomaly: {why}",
    severity=Severity.INFORMATIONAL,
    fields={**_STEP, "who": "str", "why": "str"},
    ocsf_class=6002,
)
DATABASE_FAILED = Kind(
    name=names.DATABASE_FAILED,
    meaning="A database, or some of it, could not be dumped; its last good snapshot stays the last one.",
    title="Backup {job}: {product} {database}: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "product": "str", "database": "str", "snapshot": "str"},
    advice="The detail names what would do; run the job again with `holdfast backup run`.",
    ocsf_class=6008,
)
DATABASE_BLIND = Kind(
    name="backup.database_blind",
    meaning="A dump is good, and something of the database is not in it.",
    title="Backup {job}: the dump of {product} {database} lacks {what}: {detail}",
    severity=Severity.MEDIUM,
    fields={**_STEP, "product": "str", "database": "str", "what": "str"},
    advice="Give the role of the backup what it lacks, or accept it.",
    ocsf_class=6008,
)
PROVED = Kind(
    name=names.PROVED,
    meaning="Files of a new snapshot were restored from the repository and compared with their hashes and sources.",
    title="Backup {job}: {files} files ({bytes} bytes) of snapshot {snapshot:.8} restored, {same_as_source} compared with their sources",
    severity=Severity.INFORMATIONAL,
    fields={
        "job": "str",
        "snapshot": "str",
        "files": "int",
        "bytes": "int",
        "same_as_source": "int",
        "seconds": "float",
    },
    ocsf_class=6002,
)
NOT_PROVED = Kind(
    name=names.NOT_PROVED,
    meaning="Restoring files of a new snapshot did not give what was saved.",
    title="Backup {job}: snapshot {snapshot:.8} does not restore: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "snapshot": "str", "paths": "list"},
    attack=("T1485",),
    advice="Run `holdfast backup check --read-data`; the paths name what was tried.",
    ocsf_class=2004,
)
CHECKED = Kind(
    name=names.CHECKED,
    meaning="The repository was checked: everything that its snapshots need is there, and what was read is what was written.",
    title="Backup {job}: {packs} packs checked, {bytes_read} bytes read, nothing wrong",
    severity=Severity.INFORMATIONAL,
    fields={"job": "str", "packs": "int", "bytes_read": "int", "seconds": "float"},
    ocsf_class=6002,
)
DAMAGED = Kind(
    name=names.DAMAGED,
    meaning="A check found that something of the repository is gone or not what was written.",
    title="Backup {job}: the repository is damaged: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "problems": "int", "losses": "int", "paths": "list"},
    attack=("T1485",),
    advice="Run `holdfast backup check --read-data`, then `holdfast backup repair`; look at the disk.",
    ocsf_class=2004,
)
FORGOTTEN = Kind(
    name=names.FORGOTTEN,
    meaning="Snapshots that the settings do not keep were removed, and perhaps what only they needed.",
    title="Backup {job}: {removed} snapshots removed, {kept} kept, {bytes_freed} bytes freed",
    severity=Severity.INFORMATIONAL,
    fields={"job": "str", "removed": "int", "kept": "int", "bytes_freed": "int"},
    ocsf_class=6002,
)
RETENTION_HELD = Kind(
    name=names.RETENTION_HELD,
    meaning="Nothing was removed, because the last snapshots are not what one expects, or not proved.",
    title="Backup {job}: nothing is removed: {detail}",
    severity=Severity.MEDIUM,
    fields=_STEP,
    attack=("T1485",),
    advice="Look at the snapshots with `holdfast backup list` and `diff`; remove bad ones by id.",
    ocsf_class=2004,
)
REPLICATED = Kind(
    name="backup.replicated",
    meaning="A copy of the repository is whole, and what was read back of it is what was sent.",
    title="Backup {job}: {files} files ({bytes} bytes) copied to {target}, {verified_bytes} bytes read back",
    severity=Severity.INFORMATIONAL,
    fields={
        "job": "str",
        "target": "str",
        "files": "int",
        "bytes": "int",
        "verified_bytes": "int",
        "strangers": "int",
        "seconds": "float",
    },
    ocsf_class=6002,
)
REPLICATION_FAILED = Kind(
    name="backup.replication_failed",
    meaning="A copy of the repository is not whole, or something on it is not what was sent.",
    title="Backup {job}: the copy on {target} is not whole: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "target": "str", "problems": "int"},
    advice="The detail names what would do; `holdfast backup replicate` goes on where it stopped.",
    ocsf_class=6008,
)
TARGET_IMMUTABLE = Kind(
    name=names.TARGET_IMMUTABLE,
    meaning="This host tried to destroy its own copies and was refused every time.",
    title="Backup {job}: {target} withstood {tried} attempts to destroy copies",
    severity=Severity.INFORMATIONAL,
    fields={"job": "str", "target": "str", "tried": "int"},
    ocsf_class=6002,
)
TARGET_MUTABLE = Kind(
    name=names.TARGET_MUTABLE,
    meaning="Whoever owns this host can destroy the copies of its backups.",
    title="Backup {job}: {detail}",
    severity=Severity.MEDIUM,
    fields={**_STEP, "target": "str", "tried": "int"},
    attack=("T1485",),
    advice="Make it a write-once target: `holdfast backup replicate setup` prints how.",
    ocsf_class=2004,
)
TARGET_UNTRIED = Kind(
    name=names.TARGET_UNTRIED,
    meaning="It is not known whether this host can destroy its copies: the attempt could not be made.",
    title="Backup {job}: {detail}",
    severity=Severity.LOW,
    fields={**_STEP, "target": "str", "tried": "int"},
    ocsf_class=6008,
)
DATABASE_PROVED = Kind(
    name=names.DATABASE_PROVED,
    meaning="All dumps of a database were restored into a throw-away instance, and it answered as it should.",
    title="Backup {job}: {dumps} dumps of {product} {database} restored and asked, in {seconds:.0f} s",
    severity=Severity.INFORMATIONAL,
    fields={
        "job": "str",
        "product": "str",
        "database": "str",
        "snapshot": "str",
        "dumps": "int",
        "seconds": "float",
    },
    ocsf_class=6002,
)
DATABASE_NOT_PROVED = Kind(
    name=names.DATABASE_NOT_PROVED,
    meaning="Dumps of a database did not restore into a throw-away instance, or it did not answer as it should.",
    title="Backup {job}: {product} {database} does not restore: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "product": "str", "database": "str", "snapshot": "str"},
    advice="The detail names the dump; see docs/guides/backup-databases.md for what a proof needs.",
    ocsf_class=6008,
)
FULLY_PROVED = Kind(
    name=names.FULLY_PROVED,
    meaning="Everything of the newest snapshots of a job was restored into scratch space and compared; time and age were measured.",
    title="Backup {job}: all of it ({files} files, {bytes} bytes) restored in {seconds:.0f} s, {age_s:.0f} s old",
    severity=Severity.INFORMATIONAL,
    fields={
        "job": "str",
        "snapshots": "list",
        "files": "int",
        "bytes": "int",
        "seconds": "float",
        "paused_s": "float",
        "age_s": "float",
        "gap_s": "float",
        "privileged": "bool",
        "not_proved": "str",
    },
    ocsf_class=6002,
)
FULL_PROOF_FAILED = Kind(
    name=names.FULL_PROOF_FAILED,
    meaning="Restoring everything of the newest snapshots of a job did not give what was saved.",
    title="Backup {job}: restoring all of it failed: {detail}",
    severity=Severity.HIGH,
    fields={**_STEP, "snapshots": "list", "problems": "int", "paths": "list", "seconds": "float"},
    attack=("T1485",),
    advice="Run `holdfast backup check --read-data`, then `repair`; try again with `holdfast backup prove --full`.",
    ocsf_class=2004,
)
FULL_PROOF_POSTPONED = Kind(
    name=names.FULL_PROOF_POSTPONED,
    meaning="The restore of everything could not be done now: there is no room for it, or others need the disks. The next run tries again.",
    title="Backup {job}: restoring all of it was put off: {detail}",
    severity=Severity.LOW,
    fields={**_STEP, "needed_bytes": "int", "free_bytes": "int"},
    advice="Name a larger directory in proof.full.scratch, or run `holdfast backup prove --full --scratch DIR` by hand.",
    ocsf_class=6008,
)
TARGET_MISSED = Kind(
    name="backup.recovery_target_missed",
    meaning="A restore of everything took longer, or its data was older, than the settings declare as their target.",
    title="Backup {job}: {target} missed: {measured_s:.0f} s measured, {declared_s:.0f} s declared",
    severity=Severity.MEDIUM,
    fields={"job": "str", "target": "str", "measured_s": "float", "declared_s": "float"},
    advice="Back up more often (RPO), restore from a nearer or faster place (RTO), or declare what holds.",
    ocsf_class=6008,
)
RECOVERY_KEY_PROVED = Kind(
    name=names.RECOVERY_KEY_PROVED,
    meaning="The recovery key of a repository opened it when it was typed in from the paper.",
    title="Backup {job}: its recovery key was proved",
    severity=Severity.INFORMATIONAL,
    fields={"job": "str"},
    ocsf_class=6002,
)
RECOVERY_KEY_UNPROVED = Kind(
    name=names.RECOVERY_KEY_UNPROVED,
    meaning="A repository has no recovery key, or it was not proved lately: with this host the way into its backup may be lost.",
    title="Backup {job}: {detail}",
    severity=Severity.LOW,
    fields=_STEP,
    advice="Make one and print it: `holdfast backup key recovery`; then prove it with `--prove`.",
    ocsf_class=6008,
)
SHEET_SAVED = Kind(
    name="backup.sheet_saved",
    meaning="The recovery sheet of this host was made anew and lies in the repository.",
    title="Backup {job}: recovery sheet in snapshot {snapshot:.8}",
    severity=Severity.INFORMATIONAL,
    fields={"job": "str", "snapshot": "str", "missing": "list"},
    ocsf_class=6002,
)
UPKEEP_FAILED = Kind(
    name=names.UPKEEP_FAILED,
    meaning="What follows a backup (proof, check, retention or copy) could not be done; the snapshot is there.",
    title="Backup {job}: {step} could not be done: {detail}",
    severity=Severity.MEDIUM,
    fields={**_STEP, "step": "str"},
    ocsf_class=6008,
)
KINDS = (
    FINISHED,
    PARTIAL,
    FAILED,
    CLOCK_BEHIND,
    DATABASE_FAILED,
    DATABASE_BLIND,
    PROVED,
    NOT_PROVED,
    DATABASE_PROVED,
    DATABASE_NOT_PROVED,
    CHECKED,
    DAMAGED,
    FORGOTTEN,
    RETENTION_HELD,
    REPLICATED,
    REPLICATION_FAILED,
    TARGET_IMMUTABLE,
    TARGET_MUTABLE,
    TARGET_UNTRIED,
    FULLY_PROVED,
    FULL_PROOF_FAILED,
    FULL_PROOF_POSTPONED,
    TARGET_MISSED,
    RECOVERY_KEY_PROVED,
    RECOVERY_KEY_UNPROVED,
    SHEET_SAVED,
    UPKEEP_FAILED,
    ANOMALY_SUSPECTED,
    ANOMALY_ACKNOWLEDGED,
)
