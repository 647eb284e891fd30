"""Changes explained: runs as one event, what stands out with what it means, and what could not be judged."""

import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from collectors.integrity.explaining import Explainer
from collectors.integrity.packages import put_off
from contracts.event import Severity
from contracts.file_change import CREATED, DELETED, MODIFIED, Change
from contracts.trees import Node
from host.linux import LinuxHost
from tests.collectors.integrity.packages.repository import Made
from tests.collectors.integrity.packages.rpms import Rpms
from tests.collectors.integrity.packages.test_dpkg_state import held


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    repository = Made(tmp_path / "made", monkeypatch)
    repository.archive()
    repository.sign()
    repository.installed("1.0")
    yield repository
    repository.close()


@pytest.fixture
def rpms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rpms]:
    world = Rpms(tmp_path / "rpms", monkeypatch)
    yield world
    world.close()


@pytest.fixture
def explainer(made: Made, tmp_path: Path) -> Iterator[Explainer]:
    opened = Explainer(LinuxHost(), tmp_path / "state")
    opened.begin()
    yield opened
    opened.close()


NODE = Node(b"sshd_config", 0o100644, 0, 0, 1, 5, 0, 0, 1, 1, content=b"\x01" * 32)


def test_what_stands_out_is_told_with_what_it_means(explainer) -> None:
    change = Change(
        path=b"/etc/ssh/sshd_config",
        kinds=(MODIFIED,),
        before=NODE,
        after=NODE,
        old=b"PermitRootLogin no\n",
        new=b"PermitRootLogin yes\n",
    )
    told = explainer.explain([change])
    ((found, note),) = told.standing_out
    assert found is change and [one.text for one in note.sentences] == ["PermitRootLogin no -> yes"]
    assert (note.severity, note.attack, note.format) == (Severity.HIGH, ("T1098",), "sshd_config")
    assert told.events == () and told.blind == ()


def test_a_file_that_contradicts_its_signed_package_is_at_least_high(explainer) -> None:
    change = Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=NODE)
    ((_, note),) = explainer.explain([change]).standing_out
    assert note.provenance.contradicts and note.severity is Severity.HIGH and note.attack == ("T1554",)


def test_a_run_is_one_event(made, explainer) -> None:
    import hashlib
    import time

    now = time.time()
    stamp = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(now))
    made.archive("1.1", {"usr/bin/hf-tool": b"two\n"})
    made.sign()
    made.installed("1.1")
    (made.folder / "history.log").write_text(
        f"Start-Date: {stamp}\nUpgrade: hf-tool:all (1.0, 1.1)\nEnd-Date: {stamp}\n"
    )
    after = Node(
        b"hf-tool",
        0o100644,
        0,
        0,
        1,
        4,
        int(now * 1e9),
        int(now * 1e9),
        1,
        1,
        content=hashlib.sha256(b"two\n").digest(),
    )
    told = explainer.explain([Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=after)])
    assert told.standing_out == ()
    (event,) = told.events
    assert event.fields["what"] == "hf-tool 1.0 -> 1.1" and event.fields["proved"] == 1
    assert explainer.explain([]).events == ()


def test_without_dpkg_changes_stand_out_and_that_is_said(made, explainer) -> None:
    (made.folder / "dpkg/status").unlink()
    told = explainer.explain([Change(path=b"/usr/x", kinds=(CREATED,), after=NODE)])
    assert len(told.standing_out) == 1 and "status does not exist" in told.blind[0].detail


def test_a_release_that_does_not_verify_is_a_blind_spot_until_it_does(made, explainer) -> None:
    file = next((made.folder / "lists").glob("*InRelease"))
    made.archive("1.2")
    file.write_bytes(b"broken")
    for _ in range(3):
        (spot,) = explainer.explain([]).blind
        assert "no good signature" in spot.detail
    time.sleep(0.01)
    file.unlink()
    made.sign()
    assert explainer.explain([]).blind == ()


def test_what_was_judged_of_a_run_under_way_is_told_with_the_rest_when_it_ends(made, explainer) -> None:
    now = int(time.time())
    stamp = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(now))
    made.archive("1.1", {"usr/bin/hf-tool": b"two\n", "usr/bin/hf-other": b"two\n"})
    made.sign()
    made.installed("1.1")
    log = made.folder / "history.log"
    log.write_text(f"Start-Date: {stamp}\nUpgrade: hf-tool:all (1.0, 1.1)\n")
    after = Node(b"x", 0o100644, 0, 0, 1, 4, now * 10**9, now * 10**9, 1, 1, content=sha256(b"two\n").digest())
    with held(made):
        told = explainer.explain([Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=after)])
        assert (told.events, told.standing_out, told.is_owed) == ((), (), True)
    with log.open("a") as more:
        more.write(f"End-Date: {stamp}\n")
    told = explainer.explain([Change(path=b"/usr/bin/hf-other", kinds=(CREATED,), after=after)])
    (event,) = told.events
    assert event.fields["files"] == 2 and not told.is_owed and not event.fields.get("unfinished")
    late = explainer.explain([Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=after)])
    (event,) = late.events
    assert event.fields["what"] == "hf-tool 1.0 -> 1.1, found later" and late.standing_out == ()


def test_the_steps_of_a_run_are_judged_by_what_is_left_of_them(made, explainer) -> None:
    now = int(time.time())
    stamp = time.strftime("%Y-%m-%d  %H:%M:%S", time.localtime(now))
    (made.folder / "history.log").write_text(f"Start-Date: {stamp}\nReinstall: hf-tool:all (1.0)\nEnd-Date: {stamp}\n")
    after = Node(b"x", 0o100644, 0, 0, 1, 4, now * 10**9, now * 10**9, 1, 1, content=sha256(b"one\n").digest())
    steps = [
        Change(path=b"/usr/bin/hf-tool.dpkg-new", kinds=(CREATED,), after=after),
        Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=after),
        Change(path=b"/usr/bin/hf-tool.dpkg-new", kinds=(DELETED,), before=after),
    ]
    told = explainer.explain(steps)
    assert told.standing_out == () and [event.fields["files"] for event in told.events] == [1]


def test_a_run_of_rpm_is_one_event_and_a_record_that_was_altered_is_told(rpms: Rpms, tmp_path: Path) -> None:
    rpms.key_file()
    rpms.installed()
    explainer = Explainer(LinuxHost(), tmp_path / "rpm")
    explainer.begin()
    assert explainer.learn() == () and not explainer.is_busy()
    before = rpms.node("/usr/bin/hf-tool")
    time.sleep(1.1)
    rpms.installed("1.1", files={"usr/bin/hf-tool": b"two\n"})
    told = explainer.explain([rpms.change("/usr/bin/hf-tool", before)])
    assert [(one.kind, one.fields["what"], one.fields["files"]) for one in told.events] == [
        ("integrity.transaction", "hf-tool 1.0-1 -> 1.1-1", 1)
    ]
    assert told.standing_out == () and told.blind == ()
    genuine, trojan = sha256(b"two\n").hexdigest(), sha256(b"three\n").hexdigest()
    rpms.edit(lambda blob: blob.replace(genuine.encode(), trojan.encode()))
    (rpms.root / "usr/bin/hf-tool").write_bytes(b"three\n")
    told = explainer.explain([rpms.change("/usr/bin/hf-tool", before)])
    assert [(one.kind, one.key) for one in told.events] == [("integrity.package_header_altered", "hf-tool 1.1-1")]
    ((_, note),) = told.standing_out
    assert note.provenance.contradicts and note.severity is Severity.HIGH
    explainer.close()


def test_what_a_long_run_of_rpm_changed_is_judged_again_when_it_is_over(rpms: Rpms, tmp_path: Path) -> None:
    rpms.key_file()
    files = {"usr/bin/hf-tool": b"one\n", "usr/bin/hf-other": b"one\n"}
    rpms.installed(files=files)
    explainer = Explainer(LinuxHost(), tmp_path / "rpm")
    explainer.begin()
    explainer.learn()
    before = {path: rpms.node(path) for path in ("/usr/bin/hf-tool", "/usr/bin/hf-other")}
    newer = rpms.sign(rpms.build("1.1", files={"usr/bin/hf-tool": b"two\n", "usr/bin/hf-other": b"one\n"}))
    time.sleep(1.1)
    with rpms.held():  # rpm has unpacked a file, and not written the header; somebody has used the moment
        (rpms.root / "usr/bin/hf-tool").write_bytes(b"two\n")
        (rpms.root / "usr/bin/hf-other").write_bytes(b"trojan\n")
        told = explainer.explain([rpms.change(path, node) for path, node in before.items()])
        assert told.events == () and told.is_owed
        assert [(note.provenance.contradicts, note.severity) for _, note in told.standing_out] == [
            (False, Severity.UNKNOWN)
        ] * 2
        assert all("it is judged again when that is over" in note.provenance.basis for _, note in told.standing_out)
        (spot,) = explainer.explain([]).blind
        assert "2 changes were told as they are, and are judged again" in spot.detail
    explainer.close()
    rpms.install(newer)
    explainer = Explainer(LinuxHost(), tmp_path / "rpm")  # a restart forgets none
    told = explainer.explain([])
    assert [(one.fields["what"], one.fields["files"]) for one in told.events] == [("hf-tool 1.0-1 -> 1.1-1", 1)]
    ((change, note),) = told.standing_out
    assert change.path == b"/usr/bin/hf-other" and note.provenance.contradicts and note.severity is Severity.HIGH
    again = explainer.explain([])
    assert (again.standing_out, again.blind, again.is_owed) == ((), (), False)
    explainer.close()


def test_who_holds_the_lock_of_rpm_for_hours_is_believed_no_longer(
    rpms: Rpms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rpms.key_file()
    rpms.installed()
    explainer = Explainer(LinuxHost(), tmp_path / "rpm")
    explainer.begin()
    explainer.learn()
    with rpms.held():
        (rpms.root / "usr/bin/hf-tool").write_bytes(b"trojan\n")
        ((_, note),) = explainer.explain([rpms.change("/usr/bin/hf-tool")]).standing_out
        assert not note.provenance.contradicts
        monkeypatch.setattr(put_off, "MOST_MS", 0)
        ((_, note),) = explainer.explain([]).standing_out
        assert note.provenance.contradicts and note.severity is Severity.HIGH
        ((_, note),) = explainer.explain([rpms.change("/usr/bin/hf-tool")]).standing_out
        assert note.provenance.contradicts, "nor is it from now on"
    explainer.close()


def test_a_database_of_rpm_that_is_not_read_is_said(rpms: Rpms, tmp_path: Path) -> None:
    (rpms.database / "Packages.db").touch()
    explainer = Explainer(LinuxHost(), tmp_path / "rpm")
    change = Change(path=b"/usr/bin/hf-tool", kinds=(MODIFIED,), before=NODE, after=NODE)
    (spot,) = explainer.explain([change]).blind
    assert "of the format ndb, which is not read" in spot.detail
    explainer.close()
