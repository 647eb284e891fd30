"""The action: a run becomes events, an answer with restic's code and a dated proof; what goes wrong is stated as a failed backup."""

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from actions.backup.archiver import Archiver, NothingToSave
from actions.backup.backup import STEPS, Backup, _failed, chosen
from actions.backup.checker import Checker
from actions.backup.databases.options import CommandOptions, DatabaseOptions
from actions.backup.databases.saving import Report as Dumps
from actions.backup.job import Done, Run, alone
from actions.backup.kinds import ANOMALY_SUSPECTED, FINISHED, KINDS
from actions.backup.options import BackupOptions, JobOptions, PressureOptions, ReplicaOptions, SshOptions
from actions.backup.pressure import Patience
from actions.backup.repository import Repository
from actions.backup.stores.local import LocalStore
from actions.backup.stores.store import FileType, Handle
from agent.stamping import check_kinds
from contracts.action import Command, Result
from contracts.coverage import Blind, Why
from contracts.errors import UsageError
from contracts.outcome import Failed, Ok
from contracts.title import title
from host.linux import LinuxHost
from tests.actions.backup.conftest import CHEAP, PASSWORD, Restic
from tests.actions.backup.stores.sshd import Sshd


@pytest.fixture
def host(tmp_path: Path) -> Any:
    real = LinuxHost()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return SimpleNamespace(
        state=str(state),
        files=real.files,
        write=real.write,
        facts=real.facts,
        commands=real.commands,
        now=real.now,
        monotonic=real.monotonic,
        stream=real.stream,
        dry=False,
    )


@pytest.fixture
def job(tmp_path: Path, where: Path, repository: Repository) -> JobOptions:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_text("content")
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return JobOptions(repository=str(where), paths=(str(tmp_path / "source"),), password=f"file:{tmp_path}/password")


def do(host: Any, job: JobOptions, *, dry: bool = False, **arguments: Any) -> Result:
    options = BackupOptions(jobs={"etc": job}, pressure=PressureOptions(pause_at_most=0.0))
    command = Command(id="1", action="backup", arguments=arguments, dry_run=dry)
    result = Backup(options).do(host, command, lambda *_: None)
    check_kinds(result.events, KINDS)
    msgspec.msgpack.encode(result)
    return result


def test_a_run_ends_in_events_an_answer_and_a_proof(host: Any, job: JobOptions, restic: Restic) -> None:
    result = do(host, job)
    assert isinstance(result.outcome, Ok)
    assert [event.kind for event in result.events] == [
        "backup.finished",
        "backup.sheet_saved",
        "backup.proved",
        "backup.checked",
        "backup.recovery_key_unproved",
        "backup.fully_proved",
    ]
    assert result.answer["code"] == 0
    assert result.proof is not None
    assert (result.proof.subject, result.proof.numbers["files"]) == ("backup/etc", 1.0)
    assert str(result.answer["snapshot"])[:8] in result.summary
    restic("check", "--read-data")


def test_the_databases_of_a_run_whose_paths_are_gone_are_copied_and_stated(
    host: Any, job: JobOptions, tmp_path: Path
) -> None:
    folder, root = tmp_path / "ssh", tmp_path / "server"
    folder.mkdir()
    root.mkdir()
    server = Sshd(folder, root).start()
    ssh = SshOptions(key_file=str(folder / "client_key"), known_hosts=str(folder / "known_hosts"))
    copy = ReplicaOptions(target=f"sftp://root@127.0.0.1:{server.port}/{root}/copy", ssh=ssh, attack=False)
    argvs = {"good": ("/bin/echo", "dump"), "bad": ("/bin/false",)}
    dumps = DatabaseOptions(command=tuple(CommandOptions(name=name, argv=argv) for name, argv in argvs.items()))
    job = msgspec.structs.replace(job, paths=("/nowhere",), databases=dumps, replicas=(copy,))
    try:
        result = do(host, job)
        assert isinstance(result.outcome, Failed)
        again = do(host, job, told=result.outcome.error)
    finally:
        server.stop()
    assert [event.kind for event in result.events] == ["backup.failed", "backup.database_failed", "backup.replicated"]
    assert (result.events[0].fields["databases"], result.answer["code"]) == (["good"], 3)
    assert [event.kind for event in again.events] == ["backup.replicated"], "the same failure is stated once"
    assert len(list((root / "copy" / "snapshots").iterdir())) == 2


def test_what_could_not_be_read_is_partial_with_code_3_and_named(host: Any, job: JobOptions) -> None:
    job = msgspec.structs.replace(job, paths=(*job.paths, "/nowhere/é\udcff"))
    result = do(host, job)
    assert (result.events[0].kind, result.answer["code"]) == ("backup.partial", 3)
    assert "/nowhere/" in result.events[0].fields["paths"][0]  # type: ignore[index]
    assert "could not be read" in result.summary


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"repository": "/nowhere/at/all"}, 10, "there is no repository"),
        ({"password": "file:/nowhere"}, 1, "holdfast backup init"),
        ({"paths": ("/nowhere",)}, 3, "none of the paths can be saved"),
        ({"exclude_files": ("/nowhere",)}, 1, "/nowhere"),
    ],
)
def test_what_goes_wrong_is_a_failed_backup_with_restics_code(
    host: Any, job: JobOptions, change: dict[str, Any], code: int, said: str
) -> None:
    result = do(host, msgspec.structs.replace(job, **change))
    assert isinstance(result.outcome, Failed)
    assert said in result.outcome.error
    assert ([event.kind for event in result.events], result.answer["code"]) == (["backup.failed"], code)


def test_another_attempt_that_fails_the_same_way_states_no_second_event(host: Any, job: JobOptions) -> None:
    gone = msgspec.structs.replace(job, paths=("/nowhere",))
    first = do(host, gone)
    assert isinstance(first.outcome, Failed)
    again = do(host, gone, told=first.outcome.error)
    assert (again.outcome, again.events) == (first.outcome, ())
    assert do(host, msgspec.structs.replace(job, repository="/nowhere"), told=first.outcome.error).events


def test_another_attempt_states_again_what_its_failure_does_not_name(job: JobOptions) -> None:
    unseen = Blind(what="large objects", why=Why.PERMISSION, detail="no right to read them", fix="grant it")
    blind = Dumps(product="postgresql", name="shop", snapshot="a" * 64, blind=[unseen])
    suspected = ANOMALY_SUSPECTED.event("etc", job="etc")
    done = Done(dumps=[blind], suspicions=[suspected])
    error = NothingToSave("none of the paths can be saved")
    first = _failed("etc", job, error, 1.0, "", done)
    assert isinstance(first.outcome, Failed)
    again = _failed("etc", job, error, 1.0, first.outcome.error, done)
    assert [event.kind for event in first.events] == ["backup.failed", *(event.kind for event in again.events)]
    assert [event.kind for event in again.events] == ["backup.database_blind", "backup.anomaly_suspected"]


def test_a_run_that_gave_way_says_for_how_long(host: Any, job: JobOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.backup.job.PULSE_S", -1.0)

    def wait(patience: Patience) -> str:
        patience.paused_s += 100.0
        return "io"

    monkeypatch.setattr(Patience, "wait", wait)
    result = do(host, job)
    finished = result.events[0]
    minutes = round(float(str(finished.fields["paused_s"])) / 60)
    assert f"; waited for the server {minutes} min" in result.summary
    assert title(FINISHED, finished).endswith(f"; waited for the server {minutes} min")
    assert "waited" not in do(host, job, step="prove").summary


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def test_no_space_here_is_said_no_snapshot_claims_it_and_with_room_it_goes_on(
    host: Any, job: JobOptions, small_disk: Path, tmp_path: Path
) -> None:
    place = small_disk / "repository"
    Repository.create(LocalStore(place), PASSWORD, cost=CHEAP)
    (tmp_path / "source" / "large").write_bytes(random.Random(1).randbytes(6 << 20))
    tight = msgspec.structs.replace(job, repository=str(place), retries=0)
    result = do(host, tight)
    assert isinstance(result.outcome, Failed)
    assert "No space left" in result.outcome.error
    assert "make room" in result.outcome.error
    assert not result.outcome.permanent, "somebody may make room before tomorrow"
    opened = Repository.open(LocalStore(place), PASSWORD)
    assert list(opened.snapshots()) == []
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    assert do(host, tight).answer["code"] == 0
    assert Checker(opened, read_data=True).check().problems == []


def test_a_full_disk_of_the_worker_does_not_unmake_the_snapshot(
    host: Any, job: JobOptions, restic: Restic, small_disk: Path
) -> None:
    host.state = str(small_disk / "state")
    Path(host.state).mkdir(mode=0o700)
    assert do(host, job).answer["code"] == 0
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(bytes(4096))
    result = do(host, job)
    assert isinstance(result.outcome, Ok)
    assert len(json.loads(restic("snapshots", "--json", "--path", job.paths[0]).stdout)) == 2
    lost = {event.fields["step"]: event.fields["detail"] for event in result.events if "step" in event.fields}
    assert {"tripwire", "memory"} <= lost.keys()
    assert "No space left on device" in lost["memory"]


def test_two_runs_at_once_and_a_lock_of_another_host_are_code_11(
    host: Any, job: JobOptions, where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with alone(host.state, "etc"):
        busy = do(host, job)
    assert busy.answer["code"] == 11
    assert "running already" in busy.summary
    real = Run.__init__
    monkeypatch.setattr(Run, "__init__", lambda run, **named: real(run, **named, lock_wait_s=0.0))
    with Repository.open(LocalStore(where), PASSWORD).lock(exclusive=True):
        excluded = do(host, job)
    assert excluded.answer["code"] == 11


class Liar(LocalStore):
    """Says that it saved files of one type, and did not, or half of each."""

    def __init__(self, path: Path, about: FileType, half: bool) -> None:
        super().__init__(path)
        self._about, self._half = about, half

    def save(self, handle: Handle, parts: Any) -> None:
        if handle.type is not self._about:
            super().save(handle, parts)
        elif self._half:
            whole = b"".join(parts)
            super().save(handle, [whole[: len(whole) // 2]])


@pytest.mark.parametrize(
    ("about", "half"),
    [(about, half) for about in (FileType.PACK, FileType.INDEX, FileType.SNAPSHOT) for half in (False, True)],
)
def test_a_store_that_lies_about_success_gets_no_snapshot(
    host: Any, job: JobOptions, where: Path, monkeypatch: pytest.MonkeyPatch, about: FileType, half: bool
) -> None:
    monkeypatch.setattr("actions.backup.places.open_place", lambda *_: Liar(where, about, half))
    result = do(host, job)
    assert isinstance(result.outcome, Failed)
    assert "does not hold" in result.outcome.error
    assert result.answer["code"] == 1
    torn = [path.name for path in (where / "snapshots").iterdir()]
    assert len(torn) == (about is FileType.SNAPSHOT and half), "what is torn is named, and is no snapshot to anybody"
    assert all(name in result.outcome.error for name in torn)


def test_three_harms_three_proofs_that_fail_and_name_them(
    host: Any, job: JobOptions, where: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file missing from the snapshot and one pack corrupted; the third, a dump emptied, is in `test_upkeep`."""
    (tmp_path / "source" / "forgotten").write_text("never saved")
    real = os.listdir
    monkeypatch.setattr(
        os, "listdir", lambda at: [name for name in real(at) if name not in ("forgotten", b"forgotten")]
    )
    without = Repository.open(LocalStore(where), PASSWORD)
    with without.lock():
        without.load_index()
        Archiver(without).snapshot([str(tmp_path / "source")], hostname=host.facts().hostname, tags=["etc"])
    monkeypatch.undo()
    lacking = do(host, job, step="prove")
    assert (lacking.answer["code"], lacking.proof) == (1, None)
    assert "forgotten: is not in the snapshot" in lacking.summary
    whole = do(host, job)
    assert whole.proof is not None
    for pack in (where / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            data = bytearray(pack.read_bytes())
            data[20] ^= 1
            pack.write_bytes(data)
    damaged = do(host, job, step="prove")
    assert (damaged.answer["code"], damaged.proof) == (1, None)
    assert "data/" in damaged.summary


def test_a_defect_is_a_failed_backup_too(host: Any, job: JobOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actions.backup.job.Run.back_up", lambda *_: 1 / 0)
    result = do(host, job)
    assert [event.kind for event in result.events] == ["backup.failed"]
    assert "ZeroDivisionError" in str(result.events[0].fields["detail"])


def test_a_dry_run_touches_nothing(host: Any, job: JobOptions, repository: Repository) -> None:
    assert "would back up" in do(host, job, dry=True).summary
    assert "would prove" in do(host, job, dry=True, step="prove").summary
    assert list(repository.snapshots()) == []
    assert list(Path(host.state).iterdir()) == []


def test_one_step_can_be_asked_for_alone(host: Any, job: JobOptions) -> None:
    do(host, job)
    stated = {
        "prove": ["backup.proved"],
        "check": ["backup.checked"],
        "retire": [],
        "replicate": [],
        "sheet": ["backup.sheet_saved"],
        "review": [],
        "full": ["backup.fully_proved"],
    }
    for step, kinds in stated.items():
        result = do(host, job, step=step)
        assert [event.kind for event in result.events] == kinds
        assert result.answer["code"] == 0
    assert set(STEPS) == set(stated)
    with pytest.raises(UsageError, match="no step"):
        do(host, job, step="dance")


def test_a_job_is_named_or_the_only_one(job: JobOptions) -> None:
    assert chosen(BackupOptions(jobs={"etc": job}), "")[0] == "etc"
    with pytest.raises(UsageError, match="several"):
        chosen(BackupOptions(jobs={"a": job, "b": job}), "")
    with pytest.raises(UsageError, match="no backup job is configured"):
        chosen(BackupOptions(), "etc")


def test_without_a_folder_of_its_own_the_worker_says_so(host: Any, job: JobOptions) -> None:
    host.state = ""
    result = do(host, job)
    assert "folder of its own" in str(result.events[0].fields["detail"])


def test_a_clock_that_is_behind_is_told_in_the_summary_too(
    host: Any, job: JobOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(host, job)
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3600 * 10**9)
    result = do(host, job)
    assert "backup.clock_behind" in [event.kind for event in result.events]
    told = result.summary.partition("backup.clock_behind: ")[2]
    assert len(told) > 20, result.summary
