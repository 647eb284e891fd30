"""A change carries what was and what is, and says nothing of its author unless it is told."""

import msgspec

from contracts.file_change import CREATED, MODIFIED, SCAN, Change
from contracts.trees import Node

NODE = Node(b"x", 0o100644, 1, 2, 1, 10, 100, 200, 5, 6)


def test_a_change_survives_being_stored() -> None:
    change = Change(path=b"/etc/\xff\n", kinds=(MODIFIED,), before=NODE, after=NODE, old=b"", new=b"a\n")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change) == change


def test_what_is_not_told_is_not_claimed() -> None:
    change = Change(path=b"/etc/x", kinds=(CREATED,), after=NODE)
    assert (change.author.process, change.old, change.new, change.found_by) == ("", None, None, SCAN)
