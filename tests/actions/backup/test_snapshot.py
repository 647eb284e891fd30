"""Snapshots: restic's document, whatever newer versions add."""

import pytest

from actions.backup.snapshot import BadSnapshot, Snapshot, decode_snapshot, encode_snapshot

TREE = "ab" * 32


def test_the_fields_come_in_the_order_of_restic_and_only_when_set() -> None:
    plain = Snapshot(time="2026-01-01T00:00:00Z", tree=TREE, paths=["/<x>"], hostname="h", username="root")
    assert encode_snapshot(plain) == (
        b'{"time":"2026-01-01T00:00:00Z","tree":"%s","paths":["/\\u003cx\\u003e"],"hostname":"h","username":"root"}'
        % TREE.encode()
    )
    assert decode_snapshot(encode_snapshot(plain)) == plain
    assert plain.time_ns == 1767225600 * 10**9


def test_what_newer_versions_add_is_kept_or_passed_over() -> None:
    document = (
        b'{"time":"2026-01-01T01:00:00+01:00","parent":"%s","tree":"%s","paths":["/x"],"tags":["a"],"original":"%s",'
        b'"program_version":"restic 0.18.0","summary":{"files_new":3},"future":[1]}'
    ) % (TREE.encode(), TREE.encode(), TREE.encode())
    snapshot = decode_snapshot(document)
    assert (snapshot.tags, snapshot.summary, snapshot.program_version) == (["a"], {"files_new": 3}, "restic 0.18.0")
    assert encode_snapshot(snapshot) == document.replace(b',"future":[1]', b"")


@pytest.mark.parametrize(
    "document",
    [
        "",
        "{}",
        f'{{"time":"now","tree":"{TREE}","paths":[]}}',
        '{"time":"2026-01-01T00:00:00Z","tree":"x","paths":[]}',
        '{"time":"2026-01-01T00:00:00Z","tree":null,"paths":[]}',
        f'{{"time":"2026-01-01T00:00:00Z","tree":"{TREE}","parent":"../x","paths":[]}}',
    ],
)
def test_other_documents_are_refused(document: str) -> None:
    with pytest.raises(BadSnapshot):
        decode_snapshot(document.encode())
