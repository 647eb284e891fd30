"""The labelled set: what is found of it, what is wrongly found, and bounds on hostile input."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.integrity.webshell import MOST_BYTES, weigh
from tests.analysis.integrity.webshell_specimens import BAD, GOOD


def _weighed(name: str, text: str):
    return weigh(f"/var/www/html/{name}", text.encode("latin-1"))


@pytest.mark.parametrize("name", BAD)
def test_what_runs_what_visitors_send_is_found(name: str) -> None:
    found = _weighed(name, BAD[name])
    assert found.strong and found.reasons, name


@pytest.mark.parametrize("name", GOOD)
def test_honest_code_is_left_alone(name: str) -> None:
    found = _weighed(name, GOOD[name])
    assert not found.suspicious, (name, found.reasons)


def test_the_rates_on_the_labelled_set_are_those_that_the_design_page_names() -> None:
    found = sum(_weighed(name, text).strong for name, text in BAD.items())
    wrong = sum(_weighed(name, text).suspicious for name, text in GOOD.items())
    assert (found, len(BAD), wrong, len(GOOD)) == (38, 38, 0, 37)


def test_honest_code_where_uploads_lie_is_at_most_a_hint() -> None:
    for name, text in GOOD.items():
        assert not weigh(f"/var/www/uploads/{name}", text.encode("latin-1")).strong


def test_a_program_of_the_machine_is_suspicious() -> None:
    assert weigh("/var/www/x", b"\x7fELF").suspicious and weigh("/var/www/x", b"\x7fELF", True).strong


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=2000), st.sampled_from(["a.php", "a.jsp", "a.asp", "a.cgi", "a.js", ".htaccess", "x", "a.jpg"])
)
def test_any_bytes_are_weighed(content: bytes, name: str) -> None:
    weigh(f"/srv/{name}", b"<?php " + content)


@pytest.mark.parametrize(
    "piece",
    [
        b"$a=$_GET;",
        b"eval(",
        b"'a'.",
        b"base64_decode(",
        b"$a=",
        b'"\\x73"',
        b"`",
        b"/*",
        b"include ",
        b"String a = request.getParameter(",
    ],
)
@pytest.mark.parametrize("name", ["a.php", "a.jsp", "a.cgi", "a.js"])
def test_hostile_repetition_costs_little(piece: bytes, name: str) -> None:
    content = b"<?php " + piece * (100_000 // len(piece))
    began = time.process_time()
    weigh(f"/srv/{name}", content)
    assert time.process_time() - began < 5.0


def test_what_lies_beyond_the_bound_is_not_read() -> None:
    assert not weigh("/srv/a.php", b"<?php " + b" " * MOST_BYTES + b"eval($_POST['x']);").suspicious
