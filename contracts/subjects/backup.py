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
CHECKED = "backup.checked"
DAMAGED = "backup.damaged"


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
    checked_ms: int = 0
    damaged_ms: int = 0
    damage: str = ""


class JobState(Record):
    """How a job stands: `ok`, `unverified`, `unproven`, `late`, `failing` or `stale`, `detail` why, since when."""

    job: str
    state: str
    detail: str
    since_ms: int
