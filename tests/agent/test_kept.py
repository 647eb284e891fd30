"""The verbs about what is kept."""

import base64
from pathlib import Path
from typing import Any

import pytest

from agent.handover import Handover
from agent.kept import verbs
from contracts.errors import HoldfastError
from tests.agent.test_handover import Held


def test_things_are_listed_and_given_by_name(tmp_path: Path) -> None:
    held = Held(tmp_path, {})
    held.keep("1-2-3.pcap", b"packets")
    table = verbs(held.holder)
    peer: Any = None
    about = {"watcher": "traffic", "what": "evidence"}
    (one,) = table["kept"](peer, about)
    assert (one.name, one.bytes) == ("1-2-3.pcap", 7)
    answer = table["kept_one"](peer, {**about, "name": "1-2-3.pcap"})
    assert base64.b64decode(answer["content"]) == b"packets"
    for wrong in ({"name": "none.pcap"}, {"name": "../../state.db"}, {"name": ""}, {"what": "../.."}, {"watcher": 7}):
        with pytest.raises(HoldfastError):
            table["kept_one"](peer, {**about, "name": "1-2-3.pcap", **wrong})
    assert isinstance(held.holder, Handover)
