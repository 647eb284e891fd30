"""Requests and replies of the control socket."""

import msgspec
import pytest

from contracts.control import MAX_REPLY, MAX_REQUEST, Reply, Request


def test_a_request_needs_only_its_verb() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode({"verb": "status"}), type=Request) == Request(verb="status")
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({}), type=Request)


def test_a_reply_is_a_success_and_the_last_unless_it_says_otherwise() -> None:
    assert (Reply().error, Reply().last, msgspec.json.decode(Reply().body)) == ("", True, None)


def test_people_ask_little_and_are_told_much() -> None:
    assert MAX_REQUEST < MAX_REPLY
