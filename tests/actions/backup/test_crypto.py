"""Encryption: published vectors, the round trip, and that every changed bit is noticed."""

import os
import threading
import time

import pytest
from cryptography.hazmat.primitives.poly1305 import Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.backup.crypto import OVERHEAD, BadParameters, Key, ScryptParameters, Unauthenticated, calibrate, derive


def test_the_authenticator_matches_the_vector_in_the_poly1305_aes_paper() -> None:
    k = bytes.fromhex("ec074c835580741701425b623235add6")
    r = bytes.fromhex("851fc40c3467ac0be05cc20404f3f700")
    nonce = bytes.fromhex("fb447350c4e868c52ac3275cf9d4327e")
    key = Key(b"e" * 32, k, r)
    assert (
        Poly1305.generate_tag(key._one_time_key(nonce), bytes.fromhex("f3f6")).hex()
        == "f4c633c3044fc145f84f335cb81953de"
    )


def test_scrypt_matches_the_vector_of_rfc_7914() -> None:
    key = derive("password", b"NaCl", ScryptParameters(1024, 8, 16))
    assert b"".join(key.parts).hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")


@given(st.binary(max_size=3000))
def test_what_is_sealed_opens(data: bytes) -> None:
    key = Key.random()
    sealed = key.seal(data)
    assert len(sealed) == len(data) + OVERHEAD
    assert key.open(sealed) == data
    assert key.open(memoryview(bytes(sealed))) == data


def test_each_seal_has_an_iv_of_its_own() -> None:
    key = Key.random()
    assert len({bytes(key.seal(b"same")) for _ in range(100)}) == 100


def test_every_flipped_bit_is_noticed() -> None:
    key = Key.random()
    sealed = key.seal(b"nineteen bytes long")
    for position in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            with pytest.raises(Unauthenticated):
                key.open(changed)


@settings(max_examples=50)
@given(st.integers(0, 100), st.binary(max_size=100))
def test_cut_and_prolonged_data_is_noticed(cut: int, more: bytes) -> None:
    key = Key.random()
    sealed = bytes(key.seal(bytes(60)))
    changed = sealed[:cut] + more
    if changed != sealed:
        with pytest.raises(Unauthenticated):
            key.open(changed)


def test_another_key_does_not_open() -> None:
    with pytest.raises(Unauthenticated):
        Key.random().open(Key.random().seal(b"x"))


@pytest.mark.parametrize(
    "parts", [(bytes(32), b"k" * 16, b"r" * 16), (b"e" * 32, bytes(16), b"r" * 16), (b"e" * 31, b"k" * 16, b"r" * 16)]
)
def test_keys_of_zeros_or_of_a_wrong_length_are_refused(parts: tuple[bytes, bytes, bytes]) -> None:
    with pytest.raises(BadParameters):
        Key(*parts)


@pytest.mark.parametrize(
    ("n", "r", "p"), [(1 << 30, 8, 1), (3, 8, 1), (0, 8, 1), (1, 8, 1), (1024, 0, 1), (1024, 8, 0), (1024, 8, 1 << 30)]
)
def test_costs_that_would_stop_the_machine_are_refused_at_once(n: int, r: int, p: int) -> None:
    began = time.process_time()
    with pytest.raises(BadParameters):
        derive("x", b"salt", ScryptParameters(n, r, p))
    assert time.process_time() - began < 1


def test_calibration_stays_within_the_limits_of_restic() -> None:
    cost = calibrate()
    assert 128 * cost.n * cost.r <= 60 << 20
    assert 128 * cost.n * cost.r >= 16 << 20
    assert 1 <= cost.p <= 16


def test_a_key_serves_several_threads() -> None:
    key = Key.random()
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(100):
            data = os.urandom(5000)
            if key.open(key.seal(data)) != data:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


def test_bits_of_r_that_poly1305_ignores_make_no_other_key() -> None:
    """restic 0.14 clears them before it stores a key a second time."""
    one, other = (
        Key(b"e" * 32, b"k" * 16, b"\xff" * 16),
        Key(b"e" * 32, b"k" * 16, bytes.fromhex("ffffff0ffcffff0ffcffff0ffcffff0f")),
    )
    assert one.parts == other.parts
    assert other.open(one.seal(b"x")) == b"x"
