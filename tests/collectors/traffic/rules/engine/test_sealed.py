"""Sealed rules are opened whole, unchanged, and for what they were made of; anything else is refused."""

import random

import pytest

from collectors.traffic.rules.engine.prepared import prepare
from collectors.traffic.rules.engine.sealed import FORMAT, NotOpened, seal, unseal
from tests.collectors.traffic.rules.engine import scene

KEY = b"k" * 32


@pytest.fixture(name="sealed", scope="module")
def _sealed() -> bytes:
    return seal(prepare(scene.rules('alert tcp any any -> any any (content:"needle";)')), KEY, "these rules")


def test_what_was_sealed_is_opened(sealed: bytes) -> None:
    assert len(unseal(sealed, KEY, "these rules")) == 1


@pytest.mark.parametrize("key", [b"", b"K" * 32, b"k" * 31])
def test_another_key_does_not_open_it(sealed: bytes, key: bytes) -> None:
    with pytest.raises(NotOpened, match="another key"):
        unseal(sealed, key, "these rules")


def test_it_is_not_opened_for_other_rules(sealed: bytes) -> None:
    with pytest.raises(NotOpened, match="other rules"):
        unseal(sealed, KEY, "those rules")


def test_no_flipped_bit_and_no_lost_byte_goes_unseen(sealed: bytes) -> None:
    chance = random.Random(1)
    for _ in range(300):
        at, bit = chance.randrange(len(sealed)), 1 << chance.randrange(8)
        changed = sealed[:at] + bytes([sealed[at] ^ bit]) + sealed[at + 1 :]
        with pytest.raises(NotOpened):
            unseal(changed, KEY, "these rules")
    for end in (0, 1, len(FORMAT), len(FORMAT) + 32, len(sealed) - 1):
        with pytest.raises(NotOpened):
            unseal(sealed[:end], KEY, "these rules")
