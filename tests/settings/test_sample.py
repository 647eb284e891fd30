"""The sample means the defaults, as written and with every setting switched on, and says what each setting is."""

from typing import Any

from settings.load import parse
from settings.sample import sample, uncommented


def test_a_sample_means_the_defaults(kind: Any) -> None:
    assert parse(sample(kind, "Settings.", "agent").encode(), kind) == kind()


def test_a_sample_with_everything_switched_on_means_the_defaults_too(kind: Any) -> None:
    text = uncommented(sample(kind, "Settings.", "agent"))
    assert parse(text.encode(), kind) == kind()
    assert "    limit: 4\n" in text


def test_one_switched_on_line_changes_one_setting(kind: Any) -> None:
    text = sample(kind, "Settings.", "agent").replace("    #every: 5m\n", "    every: 7m\n")
    assert parse(text.encode(), kind).collectors.ports.every == 420.0


def test_every_setting_is_shown_with_description_unit_and_default(kind: Any) -> None:
    text = sample(kind, "Settings.", "agent")
    assert "    # How often. (duration, at least 1s, at most 1d)\n    #every: 5m\n" in text
    assert '    # For example: expected: ["22/tcp"]\n    #expected: ["22/tcp", "a b"]\n' in text
    assert "#   when: Kind. (text, not empty; required)\n" in text
    assert all(len(line) <= 100 for line in text.splitlines())
