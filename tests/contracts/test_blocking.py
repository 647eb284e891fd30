"""What belongs to a ban comes back from the comment of its element, whatever people write."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.blocking import MAX_COMMENT, Note, decode, encode, set_name


def test_a_note_is_read_back() -> None:
    note = Note(
        who="root", since_ms=1_800_000_000_000, cause="01931c5e-7b7a-7c1e-8b1a-0242ac120002", reason="scans | ports"
    )
    assert decode(encode(note)) == Note(who="root", since_ms=note.since_ms, cause=note.cause, reason="scans  ports")


@given(st.text(), st.integers(0, 1 << 50), st.text(), st.text())
def test_no_text_breaks_out_or_grows_beyond_the_limit(who: str, since_ms: int, cause: str, reason: str) -> None:
    comment = encode(Note(who=who, since_ms=since_ms, cause=cause, reason=reason))
    assert len(comment.encode()) <= MAX_COMMENT
    assert not set(comment) & set('"\\\n\r\t\0')


@given(st.text())
def test_somebody_else_s_comment_is_a_reason(comment: str) -> None:
    note = decode(comment)
    assert note.reason in comment


def test_sets_are_named_by_version() -> None:
    assert (set_name("banned", 4), set_name("banned", 6)) == ("banned4", "banned6")
