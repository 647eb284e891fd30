"""The fleet is listed by name, with what is counted about each."""

from typing import Any

from console.store.records import State


def test_agents_are_listed_by_name(tried: Any, facts: Any) -> None:
    for number, name in enumerate(("web-2", "db-1", "web-1")):
        assert tried.admit(f"{number:032x}", f"0{number}", facts=facts(name))
    fleet = tried.do(tried.store.agents(1000))
    assert [one.name for one in fleet] == ["db-1", "web-1", "web-2"]
    assert {one.state for one in fleet} == {State.NEVER}
    assert {one.certificate_ends_ms for one in fleet} == {9000}


def test_what_is_not_there_is_none(tried: Any) -> None:
    assert tried.do(tried.store.agent("f" * 32, 1)) is None
    assert tried.do(tried.store.subject("f" * 32, "ports")) is None
    assert tried.do(tried.store.presence("f" * 32, 0)) == ()
