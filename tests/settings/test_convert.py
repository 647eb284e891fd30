"""The type says what a word means; every error says where, what was found and what would do."""

from typing import Any

import pytest

from settings.errors import ConfigErrors
from settings.load import parse

DATES = ["no", "yes", "22:22", "0755", "1e3", "~", "null", "2024-01-01", "true", "0x1F", "1_000", ".inf", "=", "<<"]


def ports(kind: Any, body: str) -> Any:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return parse(f"collectors:\n  ports:\n{lines}\n".encode(), kind, "agent.yaml").collectors.ports


def complaints(kind: Any, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        parse(text.encode(), kind, "agent.yaml")
    assert caught.value.exit_code == 78
    return [str(item) for item in caught.value.items]


@pytest.mark.parametrize("word", DATES)
def test_text_stays_as_it_was_written(kind: Any, word: str) -> None:
    assert ports(kind, f"text: {word}").text == word
    assert ports(kind, f"expected: [{word}, x]").expected == (word, "x")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("0755", '"0755" is not a whole number; a leading zero is ambiguous, write 755'),
        ("1e3", '"1e3" is not a whole number; write decimal digits, for example 42'),
        ("0x1F", '"0x1F" is not a whole number; write decimal digits, for example 42'),
        ("1_000", '"1_000" is not a whole number; write decimal digits, for example 42'),
        ("22:22", '"22:22" is not a whole number; write decimal digits, for example 42'),
        ('"3"', '"3" is not a whole number while it stands in quotes; write it without'),
        ("101", "101 is more than the most allowed, 100"),
        ("-1", "-1 is less than the least allowed, 0"),
        ("99999999999999999999", '"99999999999999999999" is not a whole number; write decimal digits, for example 42'),
        ("[1]", "a list stands where a single value belongs"),
        ("", '"" is not a whole number; write decimal digits, for example 42'),
    ],
)
def test_whole_numbers_are_plain_decimal(kind: Any, word: str, message: str) -> None:
    assert complaints(kind, f"collectors:\n  ports:\n    limit: {word}\n")[0].endswith(
        f"collectors.ports.limit: {message}"
    )


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "True", "1", '"true"', "~"])
def test_only_true_and_false_are_truth_values(kind: Any, word: str) -> None:
    assert "is not a truth value" in complaints(kind, f"collectors:\n  ports:\n    enabled: {word}\n")[0]


def test_units_are_read(kind: Any) -> None:
    found = ports(
        kind, "every: 5m\nroom: 1.5KiB\nat: 22:22\nshare: 0.25\nseverity: critical\ncolour: green\nmode: fast"
    )
    assert (found.every, found.room, found.at, found.share) == (300.0, 1536, "22:22", 0.25)
    assert (found.severity, found.colour.value, found.mode) == (5, "green", "fast")


def test_an_error_reads_as_promised(kind: Any) -> None:
    text = "collectors:\n  ports:\n    every: abc\n"
    assert complaints(kind, text) == [
        'agent.yaml:3:12: collectors.ports.every: "abc" is not a duration; write 30s, 5m or 1h'
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("every: 30", "is not a duration; write 30s, 5m or 1h"),
        ("every: 500ms", "500ms is less than the least allowed, 1s"),
        ("every: 2d", "2d is more than the most allowed, 1d"),
        ("room: 64", "is not a size; write 512KiB, 64MiB or 1GiB"),
        ("room: 0.3B", "is not a whole number of bytes"),
        ("at: 25:00", '"25:00" is not a time of day; write HH:MM, for example 03:30'),
        ("severity: hihg", '"hihg" is not one of the choices; did you mean "high"?'),
        ("colour: blau", "is not one of the choices; valid here: green, red"),
        ("mode: ful", 'did you mean "full"?'),
        ("share: 1.0", "1 is not less than 1"),
        ("share: .inf", '".inf" is not a number'),
        ("text: aaaaaaaaaaaaaaaaaaaaaaaaa", "has 25 characters; at most 20 characters allowed"),
        ("pair: [1]", "a list of exactly 2 items belongs here"),
        ("limits: {a: 1, b: 2, c: 3}", "has 3 names; at most 2 names allowed"),
        ("expected: 22/tcp", "stands where a list belongs"),
        ("evry: 3s", 'collectors.ports.evry: unknown setting; did you mean "every"?'),
        ("limit: 13", "collectors.ports: limit must not be 13; choose another"),
        ("notify: {to: me}", "collectors.ports.notify.via: is required here; write one of"),
        ("notify: {via: male}", 'did you mean "mail"?'),
        ("notify: [x]", "a list stands where a section belongs"),
    ],
)
def test_each_mistake_gets_one_clear_sentence(kind: Any, body: str, message: str) -> None:
    found = complaints(kind, f"collectors:\n  ports:\n    {body}\n")
    assert len(found) == 1
    assert message in found[0]


def test_a_sections_own_check_may_point_at_the_setting_it_means(kind: Any) -> None:
    text = "collectors:\n  ports:\n    mode: fast\n    expected:\n    - a\n    - bad\n"
    assert complaints(kind, text) == ["agent.yaml:6:7: collectors.ports.expected[1]: bad is not allowed"]


def test_a_misplaced_secret_is_never_repeated(kind: Any) -> None:
    found = complaints(kind, "collectors:\n  ports:\n    token: hunter2\n")
    assert "hunter2" not in found[0]
    assert "write file:/absolute/path or credential:NAME" in found[0]


def test_all_mistakes_are_named_at_once(kind: Any) -> None:
    found = complaints(
        kind, "nam: x\nrules:\n- when: a\n- dry_run: maybe\n- 3\ncollectors:\n  ports:\n    every: x\n    at: y\n"
    )
    assert [line.split(": ")[1] for line in found] == [
        "nam",
        "rules[1].dry_run",
        "rules[1].when",
        "rules[2]",
        "collectors.ports.every",
        "collectors.ports.at",
    ]


def test_a_value_of_several_types_takes_the_narrowest_that_fits(kind: Any) -> None:
    found = ports(kind, "free: {a: 1, b: true, c: no, d: 0755, e: [x, 1], f: '1', g: 1.5, h: ~}").free
    assert found == {"a": 1, "b": True, "c": "no", "d": "0755", "e": ["x", "1"], "f": "1", "g": 1.5, "h": None}


def test_a_section_without_entries_means_its_defaults(kind: Any) -> None:
    assert parse(b"collectors:\n  ports:\n", kind) == kind()


def test_a_section_keeps_its_own_defaults_when_it_is_given_in_part(kind: Any) -> None:
    assert ports(kind, "mode: fast").limit == 4


def test_a_tagged_section_is_chosen_by_its_tag(kind: Any) -> None:
    assert type(ports(kind, "notify: {via: hook, url: x}").notify).__name__ == "Hook"
    assert ports(kind, "notify: ~").notify is None
