"""The rows of the store are values: immutable, and named in one vocabulary."""

import msgspec
import pytest

from console.store.records import Agent as AgentRow
from console.store.records import AgentDetail, FindingKind, Role, State, User
from contracts.coverage import Coverage


def test_rows_do_not_change() -> None:
    user = User(name="eve", role=Role.VIEWER)
    with pytest.raises(AttributeError):
        user.role = Role.ADMIN  # type: ignore[misc]


def test_an_agent_that_never_spoke_has_no_coverage() -> None:
    detail = AgentDetail(agent=AgentRow(id="a" * 32, name="web"))
    assert detail.coverage == Coverage()
    assert detail.agent.state is State.NEVER
    assert msgspec.json.decode(msgspec.json.encode(detail), type=AgentDetail) == detail


def test_findings_have_plain_names() -> None:
    assert all(kind.value.replace("_", "").isalpha() for kind in FindingKind)
