"""The control socket with real peers: root, a stranger, a member of the group, a slow one, a rude one."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import HEADER, REQUESTS, ask, stream
from agent.control_server import Answer, ControlServer, Later, Peer
from agent.loop import Loop
from contracts.control import Request
from contracts.errors import HoldfastError, Refused, Unreachable, UsageError
from contracts.event import Event

STRANGER = 65534
# What a stranger may not import from a private checkout is spelled out: connect, send a frame, print the answer.
CALLER = """
import os, socket, struct, sys
os.setgroups([int(g) for g in sys.argv[3].split(",") if g]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
body = bytes.fromhex(sys.argv[4])
try: s.sendall(struct.pack(">I", len(body)) + body)
except BrokenPipeError: pass  # refused before it was read
out = b""
while chunk := s.recv(65536): out += chunk
sys.stdout.buffer.write(out)
"""


class Served:
    def __init__(self, path: Path, group: str) -> None:
        self.path, self.events, self.peers = path, list[Event](), list[Peer]()
        self.answers: list[Answer] = []
        self.loop = Loop()
        verbs = {
            "echo": self.echo,
            "no": self.no,
            "count": lambda peer, arguments: Later(self.count),
            "never": lambda peer, arguments: Later(self.answers.append),
            "big": lambda peer, arguments: "x" * (65 << 20),
        }
        self.server = ControlServer(self.loop, path, verbs, self.events.append, group=group)
        self.thread = threading.Thread(target=self.loop.run, daemon=True)
        self.thread.start()

    def echo(self, peer: Peer, arguments: object) -> object:
        self.peers.append(peer)
        return arguments

    def no(self, peer: Peer, arguments: object) -> object:
        raise UsageError("not like this", advice="like that")

    def count(self, answer: Answer) -> None:
        for number in range(3):
            answer.send(number, last=number == 2)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.server.close)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
        self.loop.close()


@pytest.fixture
def served() -> Iterator[Served]:
    # Not pytest's folder: other users must be able to enter this one, and pytest closes its own whenever another run begins.
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        Path(name).chmod(0o755)
        made = Served(Path(name) / "control.sock", "games")
        yield made
        made.close()


def call_as(path: Path, uid: int, groups: str = "", verb: str = "echo") -> bytes:
    body = REQUESTS.encode(Request(verb=verb)).hex()
    done = subprocess.run(
        [sys.executable, "-c", CALLER, str(path), str(uid), groups, body], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_root_gets_an_answer_and_is_known(served: Served) -> None:
    assert ask(served.path, "echo", {"a": [1, "ü"]}) == {"a": [1, "ü"]}
    assert (served.peers[0].pid, served.peers[0].uid) == (os.getpid(), os.getuid())


def test_a_no_reaches_the_caller_with_its_advice_and_code(served: Served) -> None:
    with pytest.raises(HoldfastError, match="not like this; like that") as caught:
        ask(served.path, "no")
    assert caught.value.exit_code == 2


def test_an_answer_may_come_in_parts(served: Served) -> None:
    assert list(stream(served.path, "count")) == [0, 1, 2]


def test_a_verb_nobody_knows_is_refused_in_a_sentence(served: Served) -> None:
    with pytest.raises(HoldfastError, match="does not know the verb 'frobnicate'"):
        ask(served.path, "frobnicate")


def test_an_answer_over_the_limit_says_so(served: Served) -> None:
    with pytest.raises(HoldfastError, match="more than the limit"):
        ask(served.path, "big")


def test_a_stranger_is_told_once_and_is_an_event(served: Served) -> None:
    assert b"may not command this agent" in call_as(served.path, STRANGER)
    assert b"may not command this agent" in call_as(served.path, STRANGER)
    assert [event.kind for event in served.events] == ["agent.control_refused"]
    assert served.events[0].fields["uid"] == STRANGER
    assert not served.peers


def test_a_member_of_the_group_is_answered(served: Served) -> None:
    import grp

    gid = grp.getgrnam("games").gr_gid
    assert b"may not" not in call_as(served.path, STRANGER, f"{gid}")
    assert served.peers[0].uid == STRANGER
    assert not served.events


def test_a_follower_who_hangs_up_is_noticed(served: Served) -> None:
    gone = threading.Event()
    with socket.socket(socket.AF_UNIX) as follower:
        follower.connect(str(served.path))
        body = REQUESTS.encode(Request(verb="never"))
        follower.sendall(HEADER.pack(len(body)) + body)
        while not served.answers:
            pass
        served.loop.call_soon_threadsafe(lambda: served.answers[0].on_close(gone.set))
    assert gone.wait(30)
    assert not served.answers[0].open


@pytest.mark.parametrize("words", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x04\xc1\xc1\xc1\xc1", b"\x00\x00\x00\x01\x90"])
def test_nonsense_gets_an_error_and_harms_nobody(served: Served, words: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(30)
        rude.connect(str(served.path))
        rude.sendall(words)
        assert rude.recv(65536)
    assert ask(served.path, "echo", {}) == {}


def test_arguments_that_are_not_an_object_are_refused(served: Served) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(30)
        rude.connect(str(served.path))
        body = REQUESTS.encode(Request(verb="echo", arguments=json.dumps([1]).encode()))
        rude.sendall(HEADER.pack(len(body)) + body)
        assert b"not a JSON object" in rude.recv(65536)


def test_too_many_connections_leave_the_agent_answering(served: Served) -> None:
    idle = [socket.socket(socket.AF_UNIX) for _ in range(80)]
    for each in idle:
        each.connect(str(served.path))
    with pytest.raises(HoldfastError, match="too many requests"):
        ask(served.path, "echo", {})
    for each in idle:
        each.close()
    for _ in range(100):
        try:
            assert ask(served.path, "echo", {}) == {}
            return
        except HoldfastError:
            continue
    pytest.fail("the agent did not recover")


def test_nobody_there_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match=r"no agent answers at .*systemctl start"):
        ask(tmp_path / "none.sock", "status")


def test_a_refusal_has_its_own_type(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.server, "_allows", lambda peer: False)
    with pytest.raises(Refused, match="may not command"):
        ask(served.path, "echo")
