"""`holdfast traffic` has the sensor's commands."""

from agent.cli.traffic import traffic


def test_the_group_knows_the_rules() -> None:
    assert "rules" in traffic.commands
