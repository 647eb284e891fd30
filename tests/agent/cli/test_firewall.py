"""`holdfast firewall` against an agent that answers from a recording, over a real control socket."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli.firewall import compare, firewall, tree
from contracts.control import Reply, Request
from contracts.errors import HoldfastError, Unreachable
from contracts.subjects.firewall import Row, Summary

ROWS = {
    "summary": Row(
        what="summary",
        summary=Summary(
            backends=("nftables",),
            makers=("ufw",),
            tables=1,
            chains=1,
            rules=2,
            rules4=2,
            policy4="drop",
            filtering4="closed",
        ),
    ),
    "table inet filter": Row(what="table", family="inet", table="filter", name="filter"),
    "chain inet filter input": Row(
        what="chain",
        family="inet",
        table="filter",
        name="input",
        type="filter",
        hook="input",
        priority=0,
        policy="drop",
        rules=2,
        digest="1",
    ),
    "rule inet filter input aa": Row(
        what="rule", family="inet", table="filter", name="input", text="tcp dport 22 accept", rank=2
    ),
    "rule inet filter input bb": Row(
        what="rule", family="inet", table="filter", name="input", text="ct state invalid drop", rank=1
    ),
    "set inet filter office": Row(
        what="set",
        family="inet",
        table="filter",
        name="office",
        type="set",
        text="type ipv4_addr",
        elements=3,
        digest="x",
    ),
}


class Agent:
    """Answers one request per connection by `verbs`; notes what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[tuple[str, Any]] = []
        self.verbs: dict[str, Any] = {
            "subject": self.subject(ROWS, None),
            "coverage": {"sights": [{"subject": "firewall", "state": "seen", "blind": [], "last_ok_ms": 1}]},
            "accept": {"subject": "firewall", "revision": 4},
            "do": {"ok": True, "summary": "saved", "answer": {"tables": ["inet filter"], "unsaved": []}},
        }
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @staticmethod
    def subject(rows: dict[str, Row], accepted: dict[str, Row] | None, revision: int = 3) -> dict[str, Any]:
        told = msgspec.to_builtins(rows)
        base = None if accepted is None else msgspec.to_builtins(accepted)
        return {"subject": "firewall", "revision": revision, "at_ms": 5, "rows": told, "accepted": base}

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                (length,) = struct.unpack(">I", stream.read(4))
                request = msgspec.msgpack.decode(stream.read(length), type=Request)
                self.asked.append((request.verb, json.loads(request.arguments)))
                body = msgspec.msgpack.encode(Reply(body=json.dumps(self.verbs[request.verb]).encode()))
                connection.sendall(struct.pack(">I", len(body)) + body)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone does not wake who waits in accept
        self._listener.close()
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "control.sock")
    yield agent
    agent.close()


@pytest.fixture
def call(agent: Agent) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(firewall, [*arguments, "--socket", str(agent.path)], standalone_mode=False)

    return run


def test_show_puts_the_summary_first_and_rules_in_the_kernels_order(call) -> None:
    text = call("show").output
    assert text.index("nftables") < text.index("table inet filter")
    assert "closed to arriving packets" in text
    assert text.index("ct state invalid drop") < text.index("tcp dport 22 accept")
    assert "set office: type ipv4_addr, 3 elements" in text


def test_show_as_json_holds_every_row_and_the_state_of_sight(call) -> None:
    told = json.loads(call("show", "--json").output)
    assert told["rows"].keys() == ROWS.keys()
    assert told["state"] == "seen"


def test_what_is_not_seen_stands_first(agent, call) -> None:
    blind = {
        "what": "the tables of iptables-legacy",
        "why": "permission",
        "detail": "may not",
        "fix": "Give CAP_NET_RAW.",
    }
    agent.verbs["coverage"]["sights"][0].update(state="partial", blind=[blind])
    first = call("show").output.splitlines()[0]
    assert first == "Not seen: the tables of iptables-legacy (may not). Give CAP_NET_RAW."


def test_what_is_not_wholly_seen_does_not_read_as_none(agent, call) -> None:
    agent.verbs["subject"] = agent.subject({"summary": Row(what="summary", summary=Summary(filtering4="open"))}, None)
    assert "no rules at all" in call("show").output
    agent.verbs["coverage"]["sights"][0].update(state="partial")
    shown = call("show").output
    assert "no rules in what is seen" in shown and "as far as it is seen, open" in shown


def test_a_firewall_that_was_never_seen_does_not_read_as_empty(agent, call) -> None:
    agent.verbs["subject"] = agent.subject({}, None, revision=0)
    result = call("show")
    assert isinstance(result.exception, Unreachable)
    assert result.output == ""


def test_diff_without_a_baseline_says_what_to_do(call) -> None:
    result = call("diff")
    assert isinstance(result.exception, HoldfastError)
    assert result.exception.exit_code == 2
    assert "firewall accept" in str(result.exception)


def test_diff_of_the_same_is_empty_whatever_the_ranks(agent, call) -> None:
    moved = {key: msgspec.structs.replace(row, rank=row.rank * 7) for key, row in ROWS.items()}
    agent.verbs["subject"] = agent.subject(moved, ROWS)
    result = call("diff")
    assert result.return_value == 0
    assert "as it was accepted" in result.output
    assert json.loads(call("diff", "--json").output) == []


def test_diff_names_what_came_what_went_and_what_changed(agent, call) -> None:
    accepted = dict(ROWS)
    del accepted["rule inet filter input aa"]
    accepted["rule inet filter input cc"] = msgspec.structs.replace(
        ROWS["rule inet filter input aa"], text="tcp dport 23 accept"
    )
    accepted["chain inet filter input"] = msgspec.structs.replace(
        ROWS["chain inet filter input"], policy="accept", digest="0"
    )
    agent.verbs["subject"] = agent.subject(ROWS, accepted)
    result = call("diff")
    assert result.return_value == 1
    assert result.output.splitlines() == [
        "~ inet filter input: policy accept -> drop",
        "+ inet filter input: tcp dport 22 accept",
        "- inet filter input: tcp dport 23 accept",
    ]


def test_another_order_is_a_difference(agent, call) -> None:
    accepted = {**ROWS, "chain inet filter input": msgspec.structs.replace(ROWS["chain inet filter input"], digest="0")}
    agent.verbs["subject"] = agent.subject(ROWS, accepted)
    assert call("diff").output == "~ inet filter input: other rules or another order\n"


def test_accept_asks_the_agent(agent, call) -> None:
    assert call("accept").output == "Accepted the firewall with its 2 rules.\n"
    assert ("accept", {"subject": "firewall"}) in agent.asked


def test_a_comment_cannot_drive_the_terminal() -> None:
    rows = {
        **ROWS,
        "rule inet filter input aa": msgspec.structs.replace(
            ROWS["rule inet filter input aa"], text='accept comment "\x1b[2J\n"'
        ),
    }
    assert all(line.isprintable() for line in tree(rows))


def test_a_chain_gone_with_its_rules_is_told_with_them() -> None:
    differences = compare(ROWS, {"summary": ROWS["summary"]})
    assert {each["change"] for each in differences} == {"removed"}
    assert len(differences) == 5


def test_the_name_of_a_chain_cannot_drive_the_terminal(agent, call) -> None:
    hostile = Row(what="chain", family="ip", table="t\x1b[1m", name="a\x1b[2Jb", digest="1")
    rows = {
        **ROWS,
        "table ip t": Row(what="table", family="ip", table="t\x1b[1m", name="t\x1b[1m"),
        "chain ip t a": hostile,
    }
    changed = {**rows, "chain ip t a": msgspec.structs.replace(hostile, device="\x1b]0;x\x07")}
    agent.verbs["subject"] = agent.subject(rows, changed)
    for command in ("show", "diff"):
        shown = call(command).output
        assert "a\\x1b[2Jb" in shown and "\x1b" not in shown


def test_accept_has_the_guard_save_what_was_accepted(agent, call) -> None:
    told = json.loads(call("accept", "--json").output)
    assert told == {"subject": "firewall", "revision": 4, "saved": ["inet filter"], "unsaved": []}
    assert ("do", {"action": "guard_save", "arguments": {}, "dry_run": False}) in agent.asked


def test_accept_says_when_what_it_accepted_could_not_be_saved(agent, call) -> None:
    agent.verbs["do"] = {"ok": False, "outcome": {"type": "failed", "error": "no folder"}, "summary": "", "answer": {}}
    result = call("accept")
    assert "Accepted the firewall" in result.output
    assert "The guard could not restore it: no folder" in result.output
