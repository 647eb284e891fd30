"""What SQL implementations share: text that every database takes, agents noticed from other processes."""

from typing import Any

from console.store import database
from console.store.database import MAX_TEXT, clean
from contracts.wire import Batch

A = "a" * 32


def test_text_is_bounded_and_without_nul() -> None:
    assert clean("a\0b") == "a\\x00b"
    assert len(clean("x" * 5000)) == MAX_TEXT


def test_an_agent_revoked_by_another_process_is_refused_at_once(tried: Any, facts: Any, beat: Any) -> None:
    tried.admit(A, facts=facts())
    batch = Batch(agent=A, heartbeat=beat())
    assert not hasattr(tried.do(tried.store.append(A, batch, 1000)), "status")
    other = tried._make(tried._folder)
    assert tried.do(other.revoke_agent(A, 2000))
    tried.do(other.close())
    assert tried.do(tried.store.append(A, batch, 3000)).status == 403


def test_what_is_held_of_a_fleet_that_comes_back_is_read_together(
    tried: Any, facts: Any, lanes: Any, monkeypatch: Any
) -> None:
    writers = {}
    for number in range(3):
        name = f"{number}" * 32
        tried.admit(name, serial=f"0{number}", facts=facts())
        writers[name] = lanes(name)
        tried.do(tried.store.append(name, Batch(agent=name, lanes=(writers[name].part(2),)), 1000))
    tried.reopen()
    loads: list[int] = []
    real = database._load
    monkeypatch.setattr(database, "_load", lambda *given: loads.append(1) or real(*given))
    for name, writer in writers.items():
        stored = tried.do(tried.store.append(name, Batch(agent=name, lanes=(writer.part(1),)), 2000))
        assert stored.lanes == {"normal": 3}
    assert len(loads) == 1
