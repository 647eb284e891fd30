"""The planning child answers with a plan or with findings, never with a traceback."""

from pathlib import Path

from agent.plan_child import answer


def test_a_valid_file_gives_a_plan(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("{}")
    found = answer(tmp_path / "agent.yaml")
    assert found.plan is not None and found.errors == ()


def test_a_broken_file_gives_findings(tmp_path: Path) -> None:
    (tmp_path / "agent.yaml").write_text("colectors: {}")
    found = answer(tmp_path / "agent.yaml")
    assert found.plan is None
    assert "did you mean" in found.errors[0].message
