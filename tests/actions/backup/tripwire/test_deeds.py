"""What a person has the worker do: every mistake is a clear error, and nothing is half done."""

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actions.backup.options import BackupOptions, JobOptions
from actions.backup.tripwire.book import Book, NotSuspected, Suspicion, path_in, recall, remember
from actions.backup.tripwire.deeds import Acknowledge, Canaries, saved
from contracts.action import Command, Result
from contracts.errors import UsageError
from host.linux import LinuxHost

HOST = LinuxHost()


@pytest.fixture
def host(tmp_path: Path) -> Any:
    (tmp_path / "state").mkdir()
    return SimpleNamespace(state=str(tmp_path / "state"), files=HOST.files, write=HOST.write)


@pytest.fixture
def options(tmp_path: Path) -> BackupOptions:
    (tmp_path / "data").mkdir()
    job = JobOptions(repository="/r", paths=(str(tmp_path / "data"),), excludes=("*.tmp",))
    return BackupOptions(jobs={"etc": job})


def do(deed: Any, host: Any, *, dry: bool = False, **arguments: Any) -> Result:
    command = Command(id="1", action="x", arguments=arguments, who="ada", dry_run=dry)
    result: Result = deed.do(host, command, lambda *_: None)
    return result


def test_nothing_to_acknowledge_and_no_reason_are_errors(host: Any, options: BackupOptions) -> None:
    with pytest.raises(UsageError, match="no reason"):
        do(Acknowledge(options), host)
    with pytest.raises(NotSuspected):
        do(Acknowledge(options), host, why="looked")
    with pytest.raises(UsageError, match='no backup job "x"'):
        do(Acknowledge(options), host, job="x", why="looked")


def test_a_dry_run_says_what_is_suspected_and_leaves_it(host: Any, options: BackupOptions) -> None:
    book = Book(standing=Suspicion(since_ns=1, snapshot="a" * 64, says=("much is gone",)))
    remember(host, "etc", book)
    assert "much is gone" in do(Acknowledge(options), host, dry=True, why="x").summary
    assert recall(HOST.files, path_in(host.state, "etc")) == book


def test_canaries_are_learnt_listed_and_forgotten(host: Any, options: BackupOptions, tmp_path: Path) -> None:
    bird = tmp_path / "data" / "bird.csv"
    bird.write_text("1;2;3")
    sum_of = hashlib.sha256(b"1;2;3").hexdigest()
    deed = Canaries(options)
    assert do(deed, host, learn=[str(bird)], sums=[sum_of]).answer["canaries"] == [str(bird)]
    assert do(deed, host).answer["canaries"] == [str(bird)]
    assert do(deed, host, forget=[str(bird)]).answer["canaries"] == []
    with pytest.raises(UsageError, match="is no canary"):
        do(deed, host, forget=[str(bird)])


def test_what_no_job_saves_or_is_not_what_was_planted_is_refused(
    host: Any, options: BackupOptions, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_text("x")
    (tmp_path / "data" / "x.tmp").write_text("x")
    (tmp_path / "data" / "x").write_text("x")
    deed = Canaries(options)
    for path in (tmp_path / "elsewhere", tmp_path / "data" / "x.tmp"):
        with pytest.raises(UsageError, match="is not saved"):
            do(deed, host, learn=[str(path)], sums=["00"])
    with pytest.raises(UsageError, match="not what was planted"):
        do(deed, host, learn=[str(tmp_path / "data" / "x")], sums=["00"])
    with pytest.raises(UsageError, match="each file needs its sum"):
        do(deed, host, learn=[str(tmp_path / "data" / "x")], sums=[])
    assert recall(HOST.files, path_in(host.state, "etc")) == Book()


def test_saved_is_below_a_path_and_left_out_by_no_pattern_on_the_way() -> None:
    job = JobOptions(repository="/r", paths=("/srv", "/etc/"), excludes=("/srv/cache", "*.o"))
    assert saved(job, "/srv/a/b")
    assert saved(job, "/etc/x")
    assert not saved(job, "/srvx/a")
    assert not saved(job, "/srv/cache/deep/file")
    assert not saved(job, "/srv/a.o")
