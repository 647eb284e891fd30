"""Settings of backups: jobs by name, each with what it saves, where to, when, and how old a good backup may become."""

import re
from typing import Annotated

from msgspec import Meta

from actions.backup.databases.options import DatabaseOptions, ProveOptions
from actions.backup.tripwire.options import TripwireOptions
from analysis.excludes import check_patterns, parse_tag
from contracts.errors import UsageError
from contracts.options import ActionOptions, Clock, Duration, Secret, Size
from contracts.record import Record

KEY_FOLDER = "/etc/holdfast/keys"
"""Where passwords lie unless a job says otherwise: readable by root, and by the worker that may read every file."""

Path = Annotated[str, Meta(pattern="^/", description="An absolute path.")]
Percent = Annotated[float, Meta(ge=0.0, le=100.0)]

RESERVED = frozenset({"database", "partial", "recovery-sheet", "suspected"})
"""Tags that say something else, and so are no names of jobs."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
DEFAULT_PATHS = ("/etc", "/home", "/root", "/srv", "/opt", "/usr/local", "/var")
DEFAULT_EXCLUDES = ("/var/cache", "/var/tmp", "/var/lib/holdfast", "/var/run", "/var/lock")
"""What is made again by itself, and the agent's own folders, which the worker may not see."""


PLACE_PATTERN = r"^(/|sftp://[^/@\s]+@[^/@\s]+/.|sftp:[^/@\s]+@[^/@:\s]+:.)"


class SshOptions(Record):
    """How an SFTP server is reached: by a key of its own, and only while the server shows the pinned host key."""

    key_file: Annotated[
        Path,
        Meta(description="The ed25519 key, for this alone, without a passphrase; closed to everybody but its owner."),
    ] = f"{KEY_FOLDER}/backup_ssh"
    known_hosts: Annotated[
        Path, Meta(description="The file that pins the keys of servers, as sshd(8) describes it.")
    ] = f"{KEY_FOLDER}/backup_known_hosts"
    connections: Annotated[
        int, Meta(description="Connections at once; 0: as many as the way there asks for.", ge=0, le=16)
    ] = 0


class ReplicaOptions(Record):
    """A copy of the repository on an SFTP server; files are only ever added to it."""

    target: Annotated[
        str,
        Meta(
            description="sftp://USER@HOST[:PORT]/PATH, the path as seen from the account's home; with a second slash from its root.",
            examples=["sftp://web1@backup.example.org//repository"],
            pattern=PLACE_PATTERN,
        ),
    ]
    ssh: SshOptions = SshOptions()
    attack: Annotated[
        bool,
        Meta(description="Whether every run tries to destroy copies there, so that a target that allows it is found."),
    ] = True


Count = Annotated[int, Meta(ge=-1, le=100_000)]


class KeepOptions(Record):
    """Which snapshots stay, as restic's `forget --keep-…` has it; with all at 0 and `within` empty everything stays.

    Nothing is removed while the newest snapshot is not proved to restore, or while the last ones look suspicious.
    """

    last: Annotated[Count, Meta(description="The newest ones; -1: all.")] = 0
    hourly: Annotated[Count, Meta(description="The newest of each of so many hours.")] = 0
    daily: Annotated[Count, Meta(description="The newest of each of so many days.")] = 0
    weekly: Annotated[Count, Meta(description="The newest of each of so many weeks.")] = 0
    monthly: Annotated[Count, Meta(description="The newest of each of so many months.")] = 0
    yearly: Annotated[Count, Meta(description="The newest of each of so many years.")] = 0
    within: Annotated[
        str,
        Meta(
            description="All that are not older than so much before the newest.",
            examples=["1y5m7d2h"],
            pattern=r"^(\d+y)?(\d+m)?(\d+d)?(\d+h)?$",
        ),
    ] = ""
    prune_every: Annotated[
        Duration, Meta(description="How often what no snapshot needs any more is removed.", ge=3600.0)
    ] = 604800.0


class FullProofOptions(Record):
    """A restore of everything into scratch space, as proof; its time and the age of the data are measured against declared targets."""

    enabled: Annotated[bool, Meta(description="Whether it is done by itself.")] = True
    every: Annotated[
        Duration,
        Meta(description="How often; where it could not be done, the next run of the job tries again.", ge=86400.0),
    ] = 2592000.0
    scratch: Annotated[
        str,
        Meta(
            description="Directory that the user holdfast-backup may write, with room for the largest snapshot; else its own folder.",
            examples=["/srv/scratch"],
            pattern=r"^(/.*)?$",
        ),
    ] = ""
    reserve: Annotated[Size, Meta(description="So much stays free there in any case.", ge=0)] = 1 << 30
    postpone_at_most: Annotated[
        Duration, Meta(description="How long it is put off from run to run while others wait for the disks.", ge=0.0)
    ] = 604800.0
    time_limit: Annotated[Duration, Meta(description="When it is given up, as failed.", ge=60.0)] = 43200.0
    rto: Annotated[
        Duration, Meta(description="Declared target: how long a full restore may take; 0s: none declared.", ge=0.0)
    ] = 0.0
    rpo: Annotated[
        Duration, Meta(description="Declared target: how old the last snapshot may become; 0s: none declared.", ge=0.0)
    ] = 0.0


class ProofOptions(Record):
    """What proves that a backup restores: after every run files are restored and compared, now and then the repository is checked."""

    files: Annotated[
        int, Meta(description="How many files of each new snapshot are restored, chosen by lot.", ge=0, le=10_000)
    ] = 20
    max_bytes: Annotated[Size, Meta(description="How much of them at most.", ge=1 << 20)] = 256 << 20
    valid: Annotated[Duration, Meta(description="How long such a proof counts.", ge=3600.0)] = 172800.0
    databases_every: Annotated[
        Duration, Meta(description="How often the dumps are restored into throw-away instances and asked.", ge=3600.0)
    ] = 604800.0
    databases: ProveOptions = ProveOptions()
    full: FullProofOptions = FullProofOptions()
    check_every: Annotated[Duration, Meta(description="How often the repository is checked.", ge=3600.0)] = 604800.0
    check_data: Annotated[
        str,
        Meta(
            description="How much of the data a check reads: a share (2%), a size (1g), or nothing if empty.",
            pattern=r"^((100|[1-9]?\d)(\.\d+)?%|[1-9]\d*[kmgt]?)?$",
        ),
    ] = "2%"


class JobOptions(Record):
    """One backup job: what is saved into which repository, and when."""

    repository: Annotated[
        str,
        Meta(
            description="Where the repository is: a directory that belongs to the user holdfast-backup, or sftp://USER@HOST[:PORT]/PATH.",
            examples=["/srv/backup/system"],
            pattern=PLACE_PATTERN,
        ),
    ]
    ssh: SshOptions = SshOptions()
    password: Annotated[
        Secret | None,
        Meta(
            description=f"Where the repository's password is kept; without it file:{KEY_FOLDER}/NAME, with the name of the job.",
            examples=["file:/etc/holdfast/keys/system"],
        ),
    ] = None
    paths: Annotated[
        tuple[Path, ...], Meta(description="What is saved: absolute paths, each walked whole; [] for databases alone.")
    ] = DEFAULT_PATHS
    databases: DatabaseOptions = DatabaseOptions()
    excludes: Annotated[
        tuple[str, ...],
        Meta(
            description="What is left out, as restic's patterns; a later one with ! takes in again.", examples=[["*.o"]]
        ),
    ] = DEFAULT_EXCLUDES
    iexcludes: Annotated[tuple[str, ...], Meta(description="The same, whether letters are great or small.")] = ()
    exclude_files: Annotated[tuple[Path, ...], Meta(description="Files that hold such patterns, one a line.")] = ()
    exclude_caches: Annotated[
        bool, Meta(description="Whether directories that a CACHEDIR.TAG marks as caches are left out.")
    ] = True
    exclude_if_present: Annotated[
        tuple[str, ...],
        Meta(
            description="Leave out a directory that holds such a file: NAME, or NAME:BEGINNING with how it must begin.",
            examples=[[".nobackup"]],
        ),
    ] = ()
    exclude_larger_than: Annotated[Size, Meta(description="Leave out files larger than this; 0B: none.")] = 0
    one_file_system: Annotated[
        bool, Meta(description="Whether other file systems below the paths are left out; their mount points stay.")
    ] = False
    replicas: Annotated[
        tuple[ReplicaOptions, ...],
        Meta(description="Copies of a repository that is a directory here, brought up to date after every run."),
    ] = ()
    attack: Annotated[
        bool,
        Meta(
            description="Whether every run tries to destroy what is in a repository on an SFTP server, so that one that allows it is found."
        ),
    ] = True
    keep: KeepOptions = KeepOptions()
    proof: ProofOptions = ProofOptions()
    tripwire: TripwireOptions = TripwireOptions()
    tags: Annotated[tuple[str, ...], Meta(description="Tags of its snapshots, besides the name of the job.")] = ()
    at: Annotated[Clock, Meta(description="Local time of day at which it runs; a missed run is caught up once.")] = (
        "02:15"
    )
    splay: Annotated[
        Duration,
        Meta(
            description="Each host runs it up to so much later, always the same, so that not all begin at once.",
            ge=0.0,
            le=43200.0,
        ),
    ] = 1800.0
    retries: Annotated[
        int, Meta(description="How often a run that failed in passing is tried again before its next day.", ge=0, le=20)
    ] = 3
    retry_after: Annotated[
        Duration,
        Meta(
            description="The pause before the first of these; each is twice the one before, up to six hours.", ge=60.0
        ),
    ] = 900.0
    late_after: Annotated[
        Duration, Meta(description="Age of the last good snapshot from which on the job is late.", ge=3600.0)
    ] = 129600.0
    stale_after: Annotated[
        Duration, Meta(description="Age of the last good snapshot from which on it is stale.", ge=3600.0)
    ] = 604800.0

    def __post_init__(self) -> None:
        for name in ("excludes", "iexcludes"):
            try:
                check_patterns(getattr(self, name))
            except UsageError as error:
                raise ValueError(f"{name}: {error}") from error
        try:
            for entry in self.exclude_if_present:
                parse_tag(entry)
        except UsageError as error:
            raise ValueError(f"exclude_if_present: {error}") from error
        if self.replicas and not self.repository.startswith("/"):
            raise ValueError("replicas: only a repository that is a directory here is replicated")
        if not self.paths and self.databases == DatabaseOptions():
            raise ValueError("paths: there is neither a path nor a database to save")
        if self.stale_after < self.late_after:
            raise ValueError("stale_after: a backup is stale only after it is late; give at least late_after")


class PressureOptions(Record):
    """When a backup waits for the rest of the server: share of time in which others waited for something, as `/proc/pressure` says."""

    io: Annotated[Percent, Meta(description="Percent of the last ten seconds that tasks waited for disks.")] = 60.0
    cpu: Annotated[Percent, Meta(description="The same for processors.")] = 80.0
    memory: Annotated[Percent, Meta(description="The same for memory.")] = 20.0
    pause_at_most: Annotated[
        Duration, Meta(description="How long one run waits altogether; then it goes on regardless.", ge=0.0)
    ] = 1800.0


class BackupOptions(ActionOptions):
    """Backups: daily, encrypted, in a repository that the stock restic reads, too."""

    jobs: Annotated[
        dict[str, JobOptions],
        Meta(
            description="Jobs by name: small letters, digits, - and _.",
            examples=[{"system": {"repository": "/srv/backup/system", "paths": ["/etc", "/home", "/var"]}}],
        ),
    ] = {}
    pressure: PressureOptions = PressureOptions()
    not_saved: Annotated[
        dict[str, str],
        Meta(
            description="What needs no backup, by path, and why: `holdfast backup coverage` then counts it as left out on purpose.",
            examples=[{"/srv/mirror": "fetched anew from upstream"}],
        ),
    ] = {}

    def __post_init__(self) -> None:
        for name in self.jobs:
            if not _NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(f'jobs: "{name}" cannot name a job; write up to 40 small letters, digits, - and _')


def beside_password(name: str, job: JobOptions, file: str) -> str:
    """The path of a file that is kept in the folder of the job's password: what root noted there of keys and proofs."""
    scheme, _, path = password_of(name, job).partition(":")
    folder = path.rpartition("/")[0] if scheme == "file" else KEY_FOLDER
    return f"{folder or KEY_FOLDER}/{file}"


def password_of(name: str, job: JobOptions) -> str:
    """Where the password of the job is kept, as a reference."""
    return job.password or f"file:{KEY_FOLDER}/{name}"
