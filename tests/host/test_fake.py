"""The fake host answers from its folder, with the errors of a real one."""

import threading
from pathlib import Path

import pytest

from contracts.errors import Unavailable, Why
from contracts.host import Host
from host.fake import FakeHost

FOLDER = Path(__file__).parents[1] / "fixtures" / "ports" / "small-server"


def test_it_is_a_host_made_of_a_folder() -> None:
    fake = FakeHost(FOLDER)
    host: Host = fake
    assert len(host.sockets.listening().sockets) == 6
    assert host.processes.describe([100, 5]).by_pid[100].unit == "ssh.service"
    assert host.packages.owner("/usr/sbin/sshd") == "openssh-server"
    assert host.files.read("/usr/sbin/sshd")
    assert b"sshd" in host.files.names("/usr/sbin")
    assert host.files.stat("/usr/sbin/sshd").size > 0


def test_nothing_outside_the_folder_is_seen() -> None:
    with pytest.raises(Unavailable) as caught:
        FakeHost(FOLDER).files.read("/../../../../../../etc/passwd")
    assert caught.value.why is Why.NOT_PRESENT


def test_what_is_denied_is_denied() -> None:
    fake = FakeHost(FOLDER)
    fake.files.denied.add("/usr/sbin/sshd")
    with pytest.raises(Unavailable) as caught:
        fake.files.read("/usr/sbin/sshd")
    assert caught.value.why is Why.PERMISSION


def test_commands_answer_as_recorded(tmp_path: Path) -> None:
    (tmp_path / "commands").mkdir()
    (tmp_path / "commands" / "ruleset").write_bytes(b"table inet x {\n}\n")
    (tmp_path / "commands.json").write_text(
        '{"nft list ruleset": {"stdout": "ruleset"}, "nft list sets": {"unavailable": "timeout", "message": "slow"}}'
    )
    commands = FakeHost(tmp_path).commands
    assert commands.ask("nft", "list", "ruleset").stdout.startswith(b"table")
    assert commands.asked == [("nft", "list", "ruleset")]
    for argv, why in ((("nft", "list", "sets"), Why.TIMEOUT), (("ufw", "status"), Why.TOOL_MISSING)):
        with pytest.raises(Unavailable) as caught:
            commands.ask(*argv)
        assert caught.value.why is why


def test_time_and_announcements_are_the_tests_own(tmp_path: Path) -> None:
    fake = FakeHost(tmp_path)
    start = fake.now()
    fake.advance(5)
    assert ((fake.now() - start).total_seconds(), fake.monotonic()) == (5, 5)
    fake.announcements += ["changed", "overflow"]
    stop = threading.Event()
    heard = fake.ruleset_changes(stop)  # type: ignore[arg-type]
    assert [next(heard).word, next(heard).word] == ["changed", "overflow"]
    stop.set()
    assert list(heard) == []


def test_changes_are_noted(tmp_path: Path) -> None:
    fake = FakeHost(tmp_path)
    fake.change("nft", "-f", "-", stdin=b"flush ruleset")
    fake.write("/etc/x", b"y")
    assert [(one.argv, one.path) for one in fake.planned] == [(("nft", "-f", "-"), ""), ((), "/etc/x")]


def test_a_stream_answers_as_recorded(tmp_path: Path) -> None:
    fake = FakeHost(tmp_path)
    fake.commands.answers["dump it"] = {"stdout": b"0123456789", "code": 3, "stderr": "why"}
    with fake.stream("dump", "it", stdin=[b"a", b"b"]) as running:
        buffer = bytearray(7)
        assert running.readinto(memoryview(buffer)) == 7
        assert bytes(buffer) == b"0123456"
        assert running.readinto(memoryview(buffer)) == 3
        assert running.readinto(memoryview(buffer)) == 0
        done = running.end()
    assert (done.code, done.stderr, done.stdout) == (3, b"why", b"")
    assert fake.planned[-1].stdin == b"ab"
