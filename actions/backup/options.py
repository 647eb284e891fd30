"""Settings of backups: jobs by name, each with what it saves, where to, when, and how old a good backup may become."""

import re
from typing import Annotated

from msgspec import Meta

from actions.backup.excludes import check_patterns, parse_tag
from contracts.errors import UsageError
from contracts.options import ActionOptions, Clock, Duration, Secret, Size
from contracts.record import Record

KEY_FOLDER = "/etc/holdfast/keys"
"""Where passwords lie unless a job says otherwise: readable by root, and by the worker that may read every file."""

Path = Annotated[str, Meta(pattern="^/", description="An absolute path.")]
Percent = Annotated[float, Meta(ge=0.0, le=100.0)]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
DEFAULT_PATHS = ("/etc", "/home", "/root", "/srv", "/opt", "/usr/local", "/var")
DEFAULT_EXCLUDES = ("/var/cache", "/var/tmp", "/var/lib/holdfast", "/var/run", "/var/lock")
"""What is made again by itself, and the agent's own folders, which the worker may not see."""


class JobOptions(Record):
    """One backup job: what is saved into which repository, and when."""

    repository: Annotated[
        str,
        Meta(
            description="Where the repository is: a directory that belongs to the user holdfast-backup.",
            examples=["/srv/backup/system"],
            pattern="^/",
        ),
    ]
    password: Annotated[
        Secret | None,
        Meta(
            description=f"Where the repository's password is kept; without it file:{KEY_FOLDER}/NAME, with the name of the job.",
            examples=["file:/etc/holdfast/keys/system"],
        ),
    ] = None
    paths: Annotated[
        tuple[Path, ...], Meta(description="What is saved: absolute paths; each is walked whole.", min_length=1)
    ] = DEFAULT_PATHS
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

    def __post_init__(self) -> None:
        for name in self.jobs:
            if not _NAME.fullmatch(name):
                raise ValueError(f'jobs: "{name}" cannot name a job; write up to 40 small letters, digits, - and _')


def password_of(name: str, job: JobOptions) -> str:
    """Where the password of the job is kept, as a reference."""
    return job.password or f"file:{KEY_FOLDER}/{name}"
