"""A rule while it is being read."""

import pytest

from collectors.traffic.rules.language.buffers import BUFFERS
from collectors.traffic.rules.language.draft import Draft
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.header import Headers
from collectors.traffic.rules.language.rule import Content, Rule, Transform
from collectors.traffic.rules.language.variables import Variables


def draft() -> Draft:
    return Draft(Rule(*Headers(Variables()).read("alert ip any any -> any any")))


def test_matches_go_to_the_active_buffer() -> None:
    made = draft()
    made.add(Content(b"a"))
    made.stick(BUFFERS["http.uri"])
    made.add(Content(b"b"))
    made.stick(BUFFERS["payload"])
    made.add(Content(b"c"))
    assert made.rule.payload is not None
    assert [match.pattern for match in made.rule.payload.matches] == [b"a", b"c"]  # type: ignore[union-attr]
    assert [match.pattern for match in made.rule.buffers[0].matches] == [b"b"]  # type: ignore[union-attr]


def test_the_last_content_is_that_of_the_active_buffer() -> None:
    made = draft()
    made.add(Content(b"a"))
    made.stick(BUFFERS["http.uri"])
    with pytest.raises(Refused, match="no content"):
        made.last_content("depth")


def test_nothing_follows_base64_and_nothing_is_left_empty() -> None:
    made = draft()
    made.stick_base64()
    with pytest.raises(Refused, match="base64"):
        made.stick(BUFFERS["http.uri"])
    made = draft()
    made.stick(BUFFERS["http.uri"])
    with pytest.raises(Refused, match="nothing is tested"):
        made.finish()
    with pytest.raises(Refused, match="no sticky buffer"):
        draft().transform(Transform("to_md5"))


def test_once_is_once() -> None:
    made = draft()
    made.once("msg")
    with pytest.raises(Refused, match="twice"):
        made.once("msg")
