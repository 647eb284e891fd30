"""Findings print as one line each, and a wrong name gets the nearest right one."""

from settings.errors import ConfigError, ConfigErrors, nearest


def test_a_finding_prints_with_file_line_column_and_path() -> None:
    item = ConfigError(file="agent.yaml", line=14, column=3, path="collectors.ports.every", message="is wrong")
    assert str(item) == "agent.yaml:14:3: collectors.ports.every: is wrong"
    assert str(ConfigErrors([item, item])).count("\n") == 1


def test_the_nearest_name_is_offered() -> None:
    assert nearest("evry", ["every", "enabled"]) == '; did you mean "every"?'


def test_a_few_names_are_listed_when_none_is_near_and_many_are_not() -> None:
    assert nearest("zzz", ["b", "a"]) == "; valid here: a, b"
    assert nearest("zzz", [str(number) for number in range(40)]) == ""
