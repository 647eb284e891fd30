"""Ids are SHA-256, and nothing else is taken for one."""

import pytest

from actions.backup.ids import id_of, parse_id


def test_the_id_of_nothing_is_the_known_hash() -> None:
    assert id_of(b"").hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert parse_id(id_of(b"").hex()) == id_of(b"")


@pytest.mark.parametrize("text", ["", "e3", "E" * 64, "g" * 64, "0" * 65, "0" * 63 + "\n"])
def test_other_texts_are_no_ids(text: str) -> None:
    with pytest.raises(ValueError):
        parse_id(text)
