"""Network namespaces other than our own, and what leads there."""

import os
from typing import Any

from host.namespaces import Namespaces, number, process_name
from host.owners import all_pids


def test_a_process_in_another_namespace_leads_there(netns: Any) -> None:
    pid = netns.listen({"address": "127.0.0.1", "port": 1})
    spaces = Namespaces(all_pids())
    inode = os.stat(f"/run/netns/{netns.name}").st_ino
    assert spaces.foreign[inode] == str(pid)
    assert spaces.home == number("self") != inode
    assert not any(netns.name in spot.what for spot in spaces.blind())


def test_an_empty_namespace_is_named(netns: Any) -> None:
    spots = [spot for spot in Namespaces([]).blind() if netns.name in spot.what]
    assert [spot.why for spot in spots] == ["other"]


def test_a_process_that_has_ended_has_no_namespace_and_no_name() -> None:
    assert number("999999999") is None
    assert process_name("999999999") == "?"
    assert Namespaces(["999999999"]).foreign == {}
