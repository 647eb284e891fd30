"""Rules made in a process of their own."""

import os
import time

import pytest

from collectors.traffic.rules import forge
from collectors.traffic.rules.engine.sealed import NotOpened
from collectors.traffic.rules.forge import Broken, Forge, Made, make, pack, unpack
from collectors.traffic.rules.language.variables import Variables
from contracts.collector import Piece

RULES = b'alert udp any any -> any any (msg:"a"; content:"x"; sid:1;)\nalert broken\n'
PIECES = (
    Piece(role="rules", path="/a.rules", data=RULES),
    Piece(role="rules", path="/b.rules", problem="permission denied"),
    Piece(role="rules", path="/c.rules", data=b"\0\1\2"),
    Piece(role="threshold", path="/t.config", data=b"suppress gen_id 1, sig_id 1\nnonsense x\n"),
    Piece(role="classification", path="/k.config", data=b"config classification: x,Y,1\nbad\n"),
)
KEY = b"k" * 32


def finished(child: Forge) -> Made:
    until = time.monotonic() + 120
    while (made := child.poll()) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    return made


def test_what_loads_is_made_ready_and_everything_else_is_named() -> None:
    prepared, told = make(PIECES, Variables())
    assert len(prepared) == told.loaded == 1 and told.files == 1
    assert [(one.file, one.line) for one in told.refused] == [("/a.rules", 2)]
    assert told.problems[0] == "/b.rules: permission denied" and any(
        "/c.rules: not a rules file" in one for one in told.problems
    )
    assert any(one.startswith("/t.config:2: ") for one in told.problems) and any(
        one.startswith("/k.config:2: ") for one in told.problems
    )
    assert forge.thresholds(told.thresholds, Variables()).suppressions


def test_a_child_makes_them_and_they_are_opened_by_key_and_origin_alone() -> None:
    made = finished(Forge(PIECES, Variables(), KEY, "files 1"))
    assert made.told.loaded == 1 and len(made.prepared) == 1
    again = unpack(made.packed, KEY, "files 1")
    assert again.told == made.told
    changed = bytearray(made.packed)
    changed[len(changed) - 5] ^= 1
    told = bytearray(made.packed)
    told[10] ^= 1
    for packed, key, origin in (
        (made.packed, KEY, "files 2"),
        (made.packed, b"", "files 1"),
        (bytes(changed), KEY, "files 1"),
        (bytes(told), KEY, "files 1"),
        (b"", KEY, "files 1"),
    ):
        with pytest.raises(NotOpened):
            unpack(packed, key, origin)


def test_a_child_that_ends_without_an_answer_is_told_and_one_that_is_not_wanted_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forge, "make", lambda *_: 1 / 0)
    with pytest.raises(Broken, match="exit code 1"):
        finished(Forge(PIECES, Variables(), KEY, ""))
    monkeypatch.setattr(forge, "make", lambda *_: time.sleep(60))
    child = Forge(PIECES, Variables(), KEY, "")
    pid = child._pid
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_packing_is_stable() -> None:
    prepared, told = make(PIECES[:1], Variables())
    assert pack(prepared, told, KEY, "x") == pack(prepared, told, KEY, "x")


def test_a_sandbox_that_refuses_a_lower_priority_stops_no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_by: int) -> int:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "nice", refused)
    assert finished(Forge(PIECES, Variables(), KEY, "files 1")).told.loaded == 1
