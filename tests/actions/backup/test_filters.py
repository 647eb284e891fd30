"""What a job's settings leave out, from end to end: patterns, files of patterns, tags, sizes, and the repository itself."""

import os
from pathlib import Path

import pytest

from actions.backup.archiver import Archiver, Report
from actions.backup.filters import choices
from actions.backup.options import JobOptions
from actions.backup.repository import Repository
from contracts.errors import Unavailable
from host.linux import LinuxHost
from tests.actions.backup.conftest import Restic

FILES = LinuxHost().files


def saved(
    repository: Repository, root: Path, own: frozenset[tuple[int, int]] = frozenset(), **options: object
) -> list[str]:
    """The paths below `root` that a job with these options saves."""
    job = JobOptions(repository="/r", paths=(str(root),), **{"excludes": (), "exclude_caches": False, **options})  # type: ignore[arg-type]
    repository.load_index()
    archiver = Archiver(repository, choices(job, FILES, {"X": "xx"}, own))
    id, report = archiver.snapshot(job.paths, hostname="here")
    assert report.unreadable == []
    repository.load_index()
    from actions.backup.walk import walk

    return [
        os.path.relpath(os.fsdecode(entry.path), root)
        for entry in walk(repository, repository.load_snapshot(id).tree)
        if entry.path.startswith(os.fsencode(root) + b"/")
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    for name in ("plain", "cache/one", "cache/deep/two", "fake/one", "skip/one", "x.o", "X.O", "xx"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    (made / "cache" / "CACHEDIR.TAG").write_bytes(b"Signature: 8a477f597d28d172789f06886806bc55\n# a cache")
    (made / "fake" / "CACHEDIR.TAG").write_bytes(b"not a signature")
    (made / "skip" / ".nobackup").touch()
    (made / "big").write_bytes(bytes(1001))
    return made


def test_caches_by_their_tag_keep_the_tag_alone_as_with_restic(
    repository: Repository, root: Path, restic: Restic
) -> None:
    found = saved(repository, root, exclude_caches=True)
    assert [path for path in found if path.startswith("cache")] == ["cache", "cache/CACHEDIR.TAG"]
    assert "fake/one" in found
    restic("backup", "--exclude-caches", root)
    listed = restic("ls", "latest", root, "--recursive").stdout.decode().splitlines()
    theirs = {os.path.relpath(line, root) for line in listed if line.startswith(f"{root}/")}
    assert theirs == set(found)


def test_a_folder_with_a_named_file_is_left_out_but_for_that(
    repository: Repository, root: Path, restic: Restic
) -> None:
    found = saved(repository, root, exclude_if_present=(".nobackup",))
    assert [path for path in found if path.startswith("skip")] == ["skip", "skip/.nobackup"]
    restic("backup", "--exclude-if-present", ".nobackup", root)
    listed = restic("ls", "latest", root, "--recursive").stdout.decode().splitlines()
    assert {os.path.relpath(line, root) for line in listed if line.startswith(f"{root}/")} == set(found)


def test_larger_files_are_left_out_and_one_of_just_that_size_is_not(repository: Repository, root: Path) -> None:
    assert "big" not in saved(repository, root, exclude_larger_than=1000)
    assert "big" in saved(repository, root, exclude_larger_than=1001)
    assert "big" in saved(repository, root)


def test_patterns_with_and_without_case_and_from_files(repository: Repository, root: Path, tmp_path: Path) -> None:
    assert {"x.o", "X.O"} & set(saved(repository, root, excludes=("*.o",))) == {"X.O"}
    assert {"x.o", "X.O"} & set(saved(repository, root, iexcludes=("*.o",))) == set()
    (tmp_path / "list").write_text("# nothing of these\n$X\n*.O\n")
    found = saved(repository, root, exclude_files=(str(tmp_path / "list"),))
    assert {"x.o", "X.O", "xx"} & set(found) == {"x.o"}
    with pytest.raises(Unavailable):
        saved(repository, root, exclude_files=(str(tmp_path / "gone"),))


def test_no_job_saves_the_place_it_saves_into(repository: Repository, root: Path) -> None:
    status = (root / "skip").stat()
    found = saved(repository, root, own=frozenset({(status.st_dev, status.st_ino)}))
    assert not [path for path in found if path.startswith("skip")]


def test_a_path_that_is_asked_for_and_left_out_is_told(repository: Repository, root: Path) -> None:
    job = JobOptions(repository="/r", paths=(str(root), str(root / "x.o")), excludes=("root",))
    repository.load_index()
    archiver = Archiver(repository, choices(job, FILES, {}, frozenset()))
    _, report = archiver.snapshot(job.paths, hostname="here")
    assert isinstance(report, Report)
    assert [(told.path, told.what) for told in report.noted] == [
        (os.fsencode(root), "is asked for, and what is to be excluded leaves it out")
    ]
