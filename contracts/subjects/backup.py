"""The subjects `backup.jobs`, every configured backup job with how its last run ended and its last snapshot, and `backup`, how each stands.

Key of both: the job's name. The core keeps the first from the configuration and from the events of the runs, whose names stand here; the
second is what the judge `backup` makes of it.
"""

from contracts.record import Record

SUBJECT = "backup.jobs"
STATES = "backup"

FINISHED = "backup.finished"
PARTIAL = "backup.partial"
FAILED = "backup.failed"
PROVED = "backup.proved"
NOT_PROVED = "backup.not_proved"
FULLY_PROVED = "backup.fully_proved"
FULL_PROOF_FAILED = "backup.full_proof_failed"
FULL_PROOF_POSTPONED = "backup.full_proof_postponed"
RECOVERY_KEY_PROVED = "backup.recovery_key_proved"
RECOVERY_KEY_UNPROVED = "backup.recovery_key_unproved"
CHECKED = "backup.checked"
DAMAGED = "backup.damaged"
ANOMALY_SUSPECTED = "backup.anomaly_suspected"
ANOMALY_ACKNOWLEDGED = "backup.anomaly_acknowledged"
DATABASE_FAILED = "backup.database_failed"
DATABASE_PROVED = "backup.database_proved"
DATABASE_NOT_PROVED = "backup.database_not_proved"
REPLICATED = "backup.replicated"
REPLICATION_FAILED = "backup.replication_failed"
TARGET_IMMUTABLE = "backup.target_immutable"
TARGET_MUTABLE = "backup.target_mutable"
TARGET_UNTRIED = "backup.target_untried"
FORGOTTEN = "backup.forgotten"
RETENTION_HELD = "backup.retention_held"
UPKEEP_FAILED = "backup.upkeep_failed"


class Dump(Record, omit_defaults=True):
    """One dump of a job. `product` as the settings have it, or `command` with its `line`; `paths` are those of SQLite files and folders."""

    product: str
    name: str
    port: int = 0
    socket: str = ""
    paths: tuple[str, ...] = ()
    line: str = ""


class Covers(Record, omit_defaults=True):
    """What a job saves, as its settings have it; `excludes` holds the patterns of its exclude files, too, but for those `unread`.

    `not_saved` is what the settings say is left out on purpose, by path, and why.
    """

    paths: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    iexcludes: tuple[str, ...] = ()
    one_file_system: bool = False
    tags: tuple[str, ...] = ()
    """The entries of `exclude_if_present`."""
    caches: bool = False
    """Whether directories that a CACHEDIR.TAG marks are left out."""
    larger_than: int = 0
    """Files larger than this are left out; 0 for none."""
    dumps: tuple[Dump, ...] = ()
    unread: tuple[str, ...] = ()
    not_saved: dict[str, str] = {}


class BackupDatabase(Record, omit_defaults=True):
    """One database of a job: when it was dumped and proved last (Unix ms), and what went wrong with that, "" for nothing."""

    ran_ms: int = 0
    failure: str = ""
    proof_ms: int = 0
    proof_failure: str = ""


class BackupJob(Record, omit_defaults=True):
    """One job. Times in Unix ms, 0 for never; spans in seconds; sizes in bytes.

    `outcome` of the last run is `never`, `finished`, `partial` or `failed`. Everything from `snapshot` on speaks of the last snapshot,
    which a failed run leaves as it was.
    """

    job: str
    repository: str
    at: str
    late_s: float
    stale_s: float
    proof_s: float = 172800.0
    """How long a proof by restoring counts."""
    check_s: float = 1209600.0
    """How long a check of the repository counts."""
    full_s: float = 0.0
    """How long a restore of everything counts; 0 where none is asked for."""
    rto_s: float = 0.0
    """Declared: how long a full restore may take (recovery time objective), 0 for nothing."""
    rpo_s: float = 0.0
    """Declared: how old the last snapshot may be when the disaster comes (recovery point objective), 0 for nothing."""
    covers: Covers = Covers()
    since_ms: int = 0
    """When the job was first configured, so that one that never ran is late, too."""
    ran_ms: int = 0
    outcome: str = "never"
    detail: str = ""
    snapshot: str = ""
    snapshot_ms: int = 0
    files: int = 0
    bytes_total: int = 0
    bytes_added: int = 0
    seconds: float = 0.0
    unreadable: int = 0
    proved_ms: int = 0
    proof_failed_ms: int = 0
    proof_detail: str = ""
    full_ms: int = 0
    """When all of it was restored and compared last, how long that took (what it waited for others left out) and how many bytes it had."""
    full_seconds: float = 0.0
    full_bytes: int = 0
    full_failed_ms: int = 0
    full_detail: str = ""
    full_postponed_ms: int = 0
    full_postponed: str = ""
    """Why the last attempt was put off, "" when it was not."""
    recovery_key: str = ""
    """Why its owner must be reminded of the recovery key, "" when that was proved."""
    checked_ms: int = 0
    damaged_ms: int = 0
    damage: str = ""
    suspected_ms: int = 0
    """Since when an anomaly is suspected that nobody has acknowledged; 0 for none."""
    suspicion: str = ""
    acknowledged_ms: int = 0
    databases: dict[str, BackupDatabase] = {}
    copies: dict[str, str] = {}
    """Copies on targets that are not whole since the last run, by target, and why."""
    notes: dict[str, str] = {}
    """What else is not as it should be since the last run, by target or step of the upkeep, as copies that this host can destroy."""


class JobState(Record):
    """How a job stands: `suspected`, `ok`, `unverified`, `unproven`, `late`, `failing` or `stale`, `detail` why, since when."""

    job: str
    state: str
    detail: str
    since_ms: int
