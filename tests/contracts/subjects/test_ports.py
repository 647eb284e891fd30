"""The row of a listener travels strictly."""

import msgspec
import pytest

from contracts.subjects.ports import Listener

SSH = Listener(protocol="tcp", family=6, address="::", port=22, pids=(1, 2), v6only=False)


def test_a_listener_survives_messagepack_and_json() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(SSH), type=Listener) == SSH
    assert msgspec.json.decode(msgspec.json.encode(SSH), type=Listener) == SSH


def test_expectations_that_nobody_configured_are_neither_met_nor_missed() -> None:
    assert SSH.expected is None


def test_a_field_nobody_declared_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(SSH), "colour": "red"}, Listener)
