"""The desk: archives learnt while they are there, keys that came later, and what the judgement asks."""

import time
from pathlib import Path

import pytest

from collectors.integrity.packages import desk as tested
from collectors.integrity.packages.desk import PackageDesk
from host.linux import LinuxHost
from tests.collectors.integrity.packages.test_dpkg_state import held


@pytest.fixture
def desk(made, tmp_path):
    made.archive()
    made.sign()
    made.installed("1.0")
    opened = PackageDesk(LinuxHost(), tmp_path / "state")
    yield opened
    opened.close()


def _learn(desk: PackageDesk):
    learnt = desk.learn()
    desk.begin()
    desk.settle()
    return learnt


def test_an_archive_is_learnt_once_and_stays_known_when_it_is_gone(made, desk, tmp_path: Path) -> None:
    assert (_learn(desk).signed, desk.learn().archives) == (1, 0)
    for archive in (made.folder / "archives").iterdir():
        archive.unlink()
    again = PackageDesk(LinuxHost(), tmp_path / "state")
    again.begin()
    (one,) = again.shipped(b"/usr/bin/hf-tool")
    assert one.installed and one.signed_by and again.scripts("hf-tool")
    assert again.former(b"/usr/bin/hf-tool") == ["hf-tool"]
    again.close()


def test_an_archive_that_no_index_names_is_known_unsigned(made, desk) -> None:
    made.sign(packages="")
    assert _learn(desk).signed == 0
    assert [one.signed_by for one in desk.shipped(b"/usr/bin/hf-tool")] == [""]


def test_a_broken_archive_is_named_and_the_others_are_learnt(made, desk) -> None:
    (made.folder / "archives/bad_1_all.deb").write_bytes(b"!<arch>\nbroken")
    learnt = _learn(desk)
    assert learnt.signed == 1 and "no sound Debian archive" in learnt.flaws[0]
    assert desk.learn().flaws == () and desk.standing() == learnt.flaws


def test_what_could_not_be_verified_stands_until_it_is_looked_at_with_success(made, desk, tmp_path: Path) -> None:
    lists = next((made.folder / "lists").glob("*InRelease"))
    signed = lists.read_bytes()
    lists.write_bytes(b"broken")
    bad = made.folder / "archives/hf-other_2%3a1_all.deb"
    bad.write_bytes(b"!<arch>\nbroken")
    assert _learn(desk).signed == 0
    broken, unsigned = sorted(desk.standing(), key=lambda text: "no good signature" in text)
    assert "no sound Debian archive" in broken and "no good signature" in unsigned
    assert desk.learn().flaws == () and len(desk.standing()) == 2
    again = PackageDesk(LinuxHost(), tmp_path / "state")
    assert len(again.standing()) == 2, "also for who begins later"
    again.close()
    time.sleep(0.01)
    lists.unlink()
    lists.write_bytes(signed)
    assert desk.learn().signed == 1 and desk.standing() == (broken,)
    (made.folder / "dpkg/status").write_text(
        "Package: hf-other\nStatus: install ok installed\nArchitecture: all\nVersion: 2:1\n\n"
    )
    bad.unlink()
    desk.learn()
    assert desk.standing() == (broken,), "it is what is installed, and nobody looked at it again"
    made.installed("1.0")
    desk.learn()
    assert desk.standing() == ()


def test_a_list_is_looked_at_again_though_no_archive_asks_for_it(made, desk, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = made.ring.read_bytes()
    made.ring.unlink()
    desk.learn()
    (flaw,) = desk.standing()
    assert "no keyring that apt trusts" in flaw
    made.ring.write_bytes(ring)
    desk.learn()
    assert desk.standing() == (flaw,), "no list is another one now"
    monkeypatch.setattr(tested, "AGAIN_MS", 0)
    assert desk.learn().flaws == () and desk.standing() == ()
    assert desk.learn().signed == 1, "what the list signs is looked at again"


def test_a_folder_of_archives_that_cannot_be_read_is_named(made, desk) -> None:
    folder = made.folder / "archives"
    folder.rename(made.folder / "aside")
    folder.write_text("no folder")
    desk.learn()
    assert desk.standing() == (f"{folder}: Not a directory",)
    folder.unlink()
    (made.folder / "aside").rename(folder)
    assert desk.learn().signed == 1 and desk.standing() == ()


def test_what_a_new_key_signs_counts_only_after_it_was_accepted(made, desk) -> None:
    _learn(desk)
    made.gpg("--quick-gen-key", "Other <o@example.org>", "rsa2048", "sign", "0")
    made.ring.write_bytes(made.gpg("--export"))
    made.archive("1.1")
    made.gpg("--batch", "--yes", "--delete-secret-keys", _first(made))
    made.sign()
    learnt = desk.learn()
    assert learnt.signed == 0 and "signed by keys that came later" in learnt.flaws[0]
    desk.trust([learnt.flaws[0].rpartition(" ")[2]], "ada")
    assert desk.learn().signed == 1


def _first(made) -> str:
    lines = made.gpg("--with-colons", "--list-secret-keys").decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr"))


def test_a_list_that_changed_since_is_asked_for_packages_that_changed(made, desk) -> None:
    _learn(desk)
    time.sleep(0.01)
    made.archive("1.1")
    made.installed("1.1")
    (made.folder / "dpkg/info/hf-tool.list").write_text("/.\n/usr/bin/hf-new\n")
    desk.begin()
    assert [one.package for one in desk.listed(b"/usr/bin/hf-new")] == ["hf-tool"]
    assert desk.listed(b"/usr/bin/hf-tool") == [] and desk.former(b"/usr/bin/hf-tool") == ["hf-tool"]


def test_files_are_read_as_they_are(desk, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    path = str(tmp_path / "x").encode()
    assert desk.digest(path, "md5") == "9dd4e461268c8034f5c8564e155c67a6" and desk.digest(b"/none", "md5") == ""
    assert desk.read(path, 1) == b"x" and desk.read(path, 0) is None
    node = desk.node(path)
    assert node is not None and desk.node(b"/none/x") is None and b"x" in desk.names(str(tmp_path).encode())
    assert desk.account("root", "daemon") == (0, 1) and desk.account("nobody-here", "root") == (None, 0)


def test_packages_whose_archive_was_never_seen_are_named(made, desk) -> None:
    desk.begin()
    assert desk.fetch() == ["hf-tool=1.0"]
    _learn(desk)
    assert desk.fetch() == []


def test_an_archive_that_nothing_signed_is_looked_at_again_when_apt_has_other_lists(made, desk) -> None:
    lists = sorted((made.folder / "lists").iterdir())
    texts = [(path, path.read_bytes()) for path in lists]
    for path in lists:
        path.unlink()
    assert (desk.learn().signed, desk.learn().archives) == (0, 0)
    time.sleep(0.01)
    for path, text in texts:
        path.write_bytes(text)
    assert desk.learn().signed == 1


def _run(made, *packages: str, end: bool = True) -> str:
    """Write a run into apt's log that began a moment ago; returns its id."""
    now = int(time.time())
    stamp = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(now))
    with (made.folder / "history.log").open("a") as log:
        log.write(f"\nStart-Date: {stamp}\n" + "".join(f"{line}\n" for line in packages))
        log.write(f"End-Date: {stamp}\n" if end else "")
    return f"apt-{now * 1000}"


def test_a_run_under_way_is_never_settled_and_one_that_died_is_told_once(made, desk) -> None:
    _learn(desk)
    with held(made):
        name = _run(made, "Upgrade: hf-tool:all (1.0, 1.1)", end=False)
        desk.begin()
        desk.settle()
        assert desk.has_news() and [run.ended_ms for run in desk.transactions] == [0]
    desk.begin()
    assert [(run.id, bool(run.unfinished), run.told) for run in desk.transactions] == [(name, True, False)]
    desk.settle()
    desk.begin()
    assert not desk.has_news() and [run.told for run in desk.transactions] == [True], "for what is found of it later"


def test_of_a_run_that_died_both_versions_may_lie_there_also_under_the_names_of_dpkgs_own_work(made, desk) -> None:
    _learn(desk)
    made.archive("1.1", {"usr/bin/hf-tool": b"two\n"})
    made.sign()
    time.sleep(0.01)
    made.installed("1.0", "half-installed")
    _run(made, "Upgrade: hf-tool:all (1.0, 1.1)", "Error: dpkg exited unexpectedly")
    desk.learn()
    desk.begin()
    assert {one.version: one.installed for one in desk.shipped(b"/usr/bin/hf-tool.dpkg-new")} == {
        "1.0": True,
        "1.1": True,
    }
    time.sleep(0.01)
    made.installed("1.1")
    desk.begin()
    assert {one.version: one.installed for one in desk.shipped(b"/usr/bin/hf-tool")} == {"1.0": False, "1.1": True}
    assert desk.shipped(b"/usr/bin/hf-tool.dpkg-new") == []


def test_the_first_state_that_is_kept_has_no_runs_to_tell(made, desk) -> None:
    _run(made, "Install: hf-tool:all (1.0)")
    assert not desk.is_begun()
    desk.begin()
    desk.settle()
    assert desk.is_begun() and not desk.has_news()
