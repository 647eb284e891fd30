import hashlib

from collectors.traffic.protocols.news import Conversation, Fields, File


def test_a_file_keeps_its_beginning_and_counts_all_of_it() -> None:
    file = File(True, b"x", limit=4, digests=(hashlib.md5(),))
    file.add(b"abc")
    file.add(b"def")
    assert (file.kept.content(), file.size, file.digest("md5")) == (b"abcd", 6, "")
    file.close()
    assert file.digest("md5") == hashlib.md5(b"abcdef").hexdigest() and file.digest("sha256") == ""


def test_a_truncated_file_has_no_digest() -> None:
    file = File(True, digests=(hashlib.sha1(),))
    file.close(truncated=True)
    assert file.digest("sha1") == ""


def test_fields_hold_buffers_by_side_bounded() -> None:
    fields = Fields(0, "x")
    for number in range(1000):
        fields.add("a", True, b"%d" % number, limit=3)
        fields.number_is("n", False, number)
    assert fields.buffers("a", True) == [b"0", b"1", b"2"] and fields.buffers("a", False) == []
    assert len(fields.integers("n", False)) == 256
    fields.number_becomes("n", False, 7)
    assert fields.integers("n", False) == [7]


def test_events_are_noted_once() -> None:
    fields, conversation = Fields(0, "x"), Conversation(1)
    for _ in range(2):
        fields.event("odd", True)
        conversation.event("applayer_odd")
    assert fields.events == ["odd"] and fields.event_sides == {"odd": True} and conversation.events == ["applayer_odd"]
