"""What clamd answers becomes a verdict, and nothing that it did not look at becomes clean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import Malformed
from host import clamd_answers


@pytest.mark.parametrize(
    ("reply", "state", "signature"),
    [
        (b"fd[10]: OK", "clean", ""),
        (b"stream: OK", "clean", ""),
        (b"fd[10]: Win.Test.EICAR_HDB-1 FOUND", "infected", "Win.Test.EICAR_HDB-1"),
        (b"fd[7]: Heuristics.Limits.Exceeded.MaxFileSize FOUND", "skipped", "Heuristics.Limits.Exceeded.MaxFileSize"),
        (b"INSTREAM size limit exceeded. ERROR", "skipped", ""),
        (b"fd[11]: Not a regular file ERROR", "failed", ""),
    ],
)
def test_an_answer_is_a_verdict(reply, state, signature):
    verdict = clamd_answers.verdict(reply)
    assert (verdict.state, verdict.signature) == (state, signature)
    assert bool(verdict.detail) == (state in ("skipped", "failed"))


@pytest.mark.parametrize("reply", [b"", b"fd[10]: ", b"OKAY", b"UNKNOWN COMMAND", b"fd[1]: ok"])
def test_what_is_no_verdict_is_refused(reply):
    with pytest.raises(Malformed):
        clamd_answers.verdict(reply)


@given(st.binary(max_size=300))
def test_only_ok_is_clean(reply):
    try:
        verdict = clamd_answers.verdict(reply)
    except Malformed:
        return
    assert (verdict.state == "clean") == (
        reply.decode("utf-8", "backslashreplace").strip().partition(": ")[2] == "OK" or reply.strip() == b"OK"
    )
    assert verdict.signature.isprintable() and verdict.detail.isprintable()


@given(st.lists(st.binary(max_size=50).filter(lambda raw: b"\0" not in raw), max_size=10), st.data())
def test_answers_are_cut_the_same_however_they_come(replies, data):
    stream = b"".join(reply + b"\0" for reply in replies)
    splitter, found = clamd_answers.Splitter(), []
    while stream:
        count = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:count])
        stream = stream[count:]
    assert found == replies


def test_an_answer_without_end_is_refused():
    splitter = clamd_answers.Splitter()
    with pytest.raises(Malformed):
        for _ in range(100):
            splitter.feed(b"x" * 1024)


def test_numbers_of_a_session_are_split_off():
    assert clamd_answers.numbered(b"12: fd[3]: OK") == (12, b"fd[3]: OK")
    with pytest.raises(Malformed):
        clamd_answers.numbered(b"fd[3]: OK")
