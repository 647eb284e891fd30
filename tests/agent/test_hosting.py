"""Plug-ins made with the settings that the core sends."""

import msgspec
import pytest

from agent.hosting import make
from contracts.options import CollectorOptions


class Options(CollectorOptions):
    depth: int = 3


class Plug:
    options = Options

    def __init__(self, options):
        self.options_given = options


def test_settings_are_decoded_strictly_and_default_when_none_are_sent():
    assert make(Plug, None).options_given == Options()
    assert make(Plug, msgspec.msgpack.encode(Options(depth=5))).options_given.depth == 5
    for wrong in ({"depth": "5"}, {"deep": 5}):
        with pytest.raises(msgspec.ValidationError):
            make(Plug, msgspec.msgpack.encode(wrong))
