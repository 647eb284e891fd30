"""`holdfast ports` against a control socket that answers like the agent's."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli.ports import mark, ports
from contracts.control import Reply, Request
from contracts.coverage import Blind, Coverage, Sight
from contracts.errors import Unreachable, Why
from contracts.subjects.ports import Listener

SSH = Listener(
    protocol="tcp", family=4, address="0.0.0.0", port=22, scope="any", pids=(7,), process="sshd",
    executable="/usr/sbin/sshd", user="root", unit="ssh.service", package="openssh-server",
)  # fmt: skip
BAD = Listener(
    protocol="tcp", family=6, address="::", port=4444, scope="any", v6only=False, pids=(8,), process="[red]x\x1b[2J",
    executable="/tmp/x", executable_deleted=True, user="root",
)  # fmt: skip
UNSEEN = Listener(protocol="udp", family=4, address="127.0.0.1", port=53, scope="loopback", owner_known=False)
ROWS = {"tcp/0.0.0.0:22": SSH, "tcp/[::]:4444": BAD, "udp/127.0.0.1:53": UNSEEN}


class Agent:
    """Answers as the agent would; `asked` lists what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.revision = 3
        self.accepted: dict[str, Listener] | None = None
        self.blind: tuple[Blind, ...] = ()
        self.asked: list[tuple[str, Any]] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                length = int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "big")
                request = msgspec.msgpack.decode(connection.recv(length, socket.MSG_WAITALL), type=Request)
                answer = self._answer(request.verb, json.loads(request.arguments))
                body = msgspec.msgpack.encode(Reply(body=json.dumps(answer).encode()))
                connection.sendall(len(body).to_bytes(4, "big") + body)

    def _answer(self, verb: str, arguments: Any) -> Any:
        self.asked.append((verb, arguments))
        if verb == "coverage":
            state = "partial" if self.blind else "seen"
            return msgspec.to_builtins(Coverage(sights=(Sight(subject="ports", state=state, blind=self.blind),)))
        if verb == "accept":
            return {"subject": "ports", "revision": self.revision}
        accepted = None if self.accepted is None else msgspec.to_builtins(self.accepted)
        rows = msgspec.to_builtins(ROWS)
        return {"subject": "ports", "revision": self.revision, "at_ms": 1, "rows": rows, "accepted": accepted}


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    running = Agent(tmp_path / "control.sock")
    yield running
    running.close()


def run(agent: Agent, *arguments: str) -> Result:
    command, *rest = arguments
    return CliRunner().invoke(ports, [command, "--socket", str(agent.path), *rest], standalone_mode=True)


def test_show_lists_every_listener_with_its_owner(agent: Agent) -> None:
    shown = run(agent, "show").output
    assert "tcp/0.0.0.0:22" in shown and "openssh-server" in shown and "ssh.service" in shown
    assert "any v4 and v6" in shown
    assert "/tmp/x (deleted)" in shown
    assert "not seen" in shown


def test_a_hostile_name_does_not_drive_the_terminal(agent: Agent) -> None:
    shown = run(agent, "show").output
    assert "[red]x" in shown
    assert "\x1b[2J" not in shown


def test_what_cannot_be_seen_comes_first(agent: Agent) -> None:
    agent.blind = (Blind(what="the owners of other users' sockets", why=Why.PERMISSION, detail="d", fix="run as root"),)
    first = run(agent, "show").output.splitlines()[0]
    assert first == "cannot see the owners of other users' sockets: d"


def test_json_holds_rows_and_judgement(agent: Agent) -> None:
    agent.accepted = {"tcp/0.0.0.0:22": SSH}
    body = json.loads(run(agent, "show", "--json").output)
    assert {key: row["judged"] for key, row in body["rows"].items()} == {
        "tcp/0.0.0.0:22": "accepted",
        "tcp/[::]:4444": "unexpected",
        "udp/127.0.0.1:53": "unexpected",
    }
    assert body["state"] == "seen"


def test_only_the_unexpected_are_shown_when_asked(agent: Agent) -> None:
    agent.accepted = {"tcp/0.0.0.0:22": SSH, "udp/127.0.0.1:53": UNSEEN}
    shown = run(agent, "show", "--unexpected").output
    assert "tcp/[::]:4444" in shown and "tcp/0.0.0.0:22" not in shown
    agent.accepted = ROWS
    assert "Nothing unexpected listens." in run(agent, "show", "--unexpected").output


def test_what_nobody_judges_does_not_read_as_expected(agent: Agent) -> None:
    agent.accepted = None
    shown = run(agent, "show", "--unexpected").output
    assert "Not judged, because no baseline was accepted" in shown and "Nothing unexpected" not in shown


def test_ten_thousand_listeners_are_shown_in_a_moment(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROWS", {f"tcp/127.0.0.1:{n}": SSH for n in range(10_000)})
    began = time.process_time()
    lines = run(agent, "show").output.splitlines()
    assert len(lines) == 10_001 and lines[1].startswith("tcp/127.0.0.1:")
    assert time.process_time() - began < 4


@pytest.mark.parametrize(
    ("row", "accepted", "baseline", "judged"),
    [
        (Listener(protocol="tcp", family=4, address="x", port=1, expected=True), {}, True, "expected"),
        (Listener(protocol="tcp", family=4, address="x", port=1, expected=False), {}, False, "unexpected"),
        (SSH, {}, False, "unjudged"),
        (SSH, {"k": SSH}, True, "accepted"),
        (BAD, {"k": SSH}, True, "unexpected"),
        (UNSEEN, {"k": SSH}, True, "accepted"),
    ],
)
def test_a_listener_is_judged_like_the_judge_does(
    row: Listener, accepted: dict[str, Listener], baseline: bool, judged: str
) -> None:
    assert mark("k", row, accepted, baseline) == judged


def test_accept_takes_all_or_the_keys_named(agent: Agent) -> None:
    assert "Accepted 3 listeners." in run(agent, "accept").output
    assert agent.asked[-1] == ("accept", {"subject": "ports"})
    assert "Accepted 1 listener." in run(agent, "accept", "tcp/0.0.0.0:22").output
    assert agent.asked[-1] == ("accept", {"subject": "ports", "keys": ["tcp/0.0.0.0:22"]})


def test_a_key_that_is_not_there_is_named_with_the_nearest(agent: Agent) -> None:
    error = run(agent, "accept", "tcp/0.0.0.0:23").exception
    assert "did you mean tcp/0.0.0.0:22" in str(error)
    assert all(verb != "accept" for verb, _ in agent.asked)


def test_before_the_first_look_it_says_so(agent: Agent) -> None:
    agent.revision = 0
    assert isinstance(run(agent, "show").exception, Unreachable)
