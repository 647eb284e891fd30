"""Sheet saving: the recovery sheet as a small snapshot of its own beside those it speaks of, readable with the stock restic alone.

It is dated just before the snapshots of its run, so that `latest` stays what it was.
"""

import os
import time
from collections.abc import Iterable, Sequence

from actions.backup.databases.saving import FOLDER as DATABASES
from actions.backup.databases.saving import PARTIAL, PRODUCT_TAG, PROGRAM
from actions.backup.databases.saving import TAG as DATABASE_TAG
from actions.backup.dump import content
from actions.backup.key_reminder import why_unproved
from actions.backup.memory import Memory
from actions.backup.node import user_name
from actions.backup.options import JobOptions, password_of
from actions.backup.repository import Repository
from actions.backup.selection import Selection, select
from actions.backup.sheet import FOLDER, PACKAGES, SHEET, TAG, TARGET, Backup, HostFacts, Saved, sheet_text
from actions.backup.snapshot import Snapshot
from actions.backup.stream import Pieces, file_node, save_folders, save_stream
from actions.backup.times import format_time
from actions.backup.walk import NoSuchEntry, entry_at, walk
from contracts.host import Files

_MAX_FILES = 2000


def make_sheet(
    repository: Repository,
    name: str,
    job: JobOptions,
    host: HostFacts,
    files: Files,
    states: str,
    memory: Memory,
    target: str = TARGET,
) -> str:
    """The text of the sheet of a job as of now. The index is loaded."""
    full = ""
    if memory.full_ns:
        full = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(memory.full_ns / 1e9))
    copies = [replica.target for replica in job.replicas]
    uses_ssh = copies or not job.repository.startswith("/")
    ssh = job.replicas[0].ssh if job.replicas else job.ssh
    backup = Backup(
        job=name,
        repository=job.repository,
        repository_id=repository.config.id,
        password_file=password_of(name, job).partition(":")[2],
        recovery=why_unproved(repository, files, states),
        ssh_key=ssh.key_file if uses_ssh else "",
        copies=copies,
        saved=newest_saved(repository, host.hostname, name),
        full=full,
    )
    return sheet_text(host, backup, time.time_ns(), target)


def newest_saved(repository: Repository, hostname: str, job: str) -> list[Saved]:
    """The newest snapshots of a job on this host: the files' first, then one of each database, complete ones before partial ones."""
    chosen = select(repository, Selection(hosts=(hostname,), tags=((job,),)), trouble=lambda _: None)
    own = [(id, each) for id, each in chosen if TAG not in each.tags]
    files = [(id, each) for id, each in own if DATABASE_TAG not in each.tags]
    found = [Saved(id, each.time_ns, each.paths) for id, each in files[-1:]]
    databases: dict[str, tuple[str, Snapshot]] = {}
    for id, each in own:
        if DATABASE_TAG not in each.tags or not each.paths:
            continue
        name = each.paths[0].split("/")[2]
        known = databases.get(name)
        if known is None or PARTIAL in known[1].tags or PARTIAL not in each.tags:
            databases[name] = (id, each)
    for name, (id, each) in sorted(databases.items()):
        product = next((tag.removeprefix(PRODUCT_TAG) for tag in each.tags if tag.startswith(PRODUCT_TAG)), "command")
        found.append(Saved(id, each.time_ns, each.paths, product, name, _files(repository, each.tree, name)))
    return found


def save_sheet(
    repository: Repository, name: str, job: JobOptions, hostname: str, texts: Iterable[tuple[bytes, str]], time_ns: int
) -> str:
    """Save the files of a sheet into a snapshot of its own, dated `time_ns`; returns its id. The caller holds a lock."""
    saver = repository.saver(1)
    try:
        nodes = {}
        for file, text in texts:
            node = file_node(file, time_ns, mode=0o600)
            save_stream(saver, repository.chunker(), Pieces([text.encode()]), node)
            nodes[FOLDER + b"/" + file] = node
        tree = save_folders(saver, nodes, time_ns)
        saver.finish()
    finally:
        saver.close()
    return repository.save_snapshot(
        Snapshot(
            time=format_time(time_ns),
            tree=tree,
            paths=[f"/{FOLDER.decode()}"],
            hostname=hostname,
            username=user_name(os.geteuid()),
            uid=os.geteuid(),
            gid=os.getegid(),
            tags=sorted({name, TAG, *job.tags}),
            program_version=PROGRAM,
        )
    )


def before(repository: Repository, snapshots: Sequence[str]) -> int:
    """A time just before all of the snapshots, now where there is none."""
    times = [repository.load_snapshot(id).time_ns for id in snapshots]
    return min(times) - 1_000_000 if times else time.time_ns()


def kept_sheet(repository: Repository, chosen: Selection) -> str:
    """The newest sheet that the repository holds; NoSuchEntry where there is none. The index is loaded."""
    tags = tuple((*tags, TAG) for tags in chosen.tags) or ((TAG,),)
    found = select(repository, Selection(chosen.hosts, tags, chosen.paths), trouble=lambda _: None)
    if not found:
        raise NoSuchEntry("the repository holds no recovery sheet", advice="run the backup once, or leave --kept away")
    entry = entry_at(repository, found[-1][1].tree, b"/".join((FOLDER, SHEET)))
    return b"".join(content(repository, entry.node)).decode("utf-8", "replace")


def sheet_files(text: str, host: HostFacts) -> list[tuple[bytes, str]]:
    """What a sheet's snapshot holds."""
    return [(SHEET, text), (PACKAGES, "".join(f"{line}\n" for line in host.packages))]


def _files(repository: Repository, tree: str, name: str) -> list[str]:
    """The dumps below a database's own folder."""
    top = b"/" + DATABASES + b"/" + os.fsencode(name) + b"/"
    found: list[str] = []
    for entry in walk(repository, tree, trouble=lambda *_: None):
        if entry.node.type == "file" and entry.path.startswith(top) and len(found) < _MAX_FILES:
            found.append(os.fsdecode(entry.path[len(top) :]))
    return found
