"""The header of a database says what it is, or that it is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.antivirus import cvd
from contracts.errors import Malformed

TEXT = b"ClamAV-VDB:07 Jul 2025 04-35 -0400:27690:2076102:90:61b3e2a1:aBcD+/9:raynman:1751877300"


def test_a_header_is_read_field_by_field():
    head = cvd.parse(TEXT.ljust(cvd.SIZE))
    assert (head.version, head.signatures, head.level, head.builder) == (27690, 2076102, 90, "raynman")
    assert head.built_ms == 1751877300000 and head.signed


def test_a_container_without_signature_says_so():
    assert not cvd.parse(TEXT.replace(b"aBcD+/9", b"X").ljust(cvd.SIZE)).signed


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        TEXT,
        b"\x7fELF".ljust(512),
        TEXT.replace(b":90:", b":").ljust(512),
        TEXT.replace(b"27690", b"-1").ljust(512),
    ],
    ids=["empty", "half-written", "something else", "a field less", "no number"],
)
def test_what_is_no_header_is_refused_with_a_reason(wrong):
    with pytest.raises(Malformed, match=r"it|its|file"):
        cvd.parse(wrong)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_header_or_malformed(raw):
    for head in (raw, b"ClamAV-VDB:" + raw, (b"ClamAV-VDB:" + raw).ljust(512)):
        try:
            assert cvd.parse(head).version >= 0
        except Malformed:
            continue


@given(st.integers(0, 1 << 30), st.integers(0, 1 << 31), st.integers(0, 10**7), st.text("abcz.-", max_size=20))
def test_what_is_written_is_read(version, built_s, signatures, builder):
    text = f"ClamAV-VDB:01 Jan 2026 00-00 +0000:{version}:{signatures}:90:00:X:{builder}:{built_s}"
    head = cvd.parse(text.encode().ljust(512))
    assert (head.version, head.built_ms, head.signatures) == (version, built_s * 1000, signatures)
    assert head.builder == builder


def test_the_daemons_version_is_that_of_its_daily_database():
    assert cvd.version_of("ClamAV 1.4.3/27695/Mon Jul  7 10:35:55 2025\0") == (
        "1.4.3",
        27695,
        "Mon Jul  7 10:35:55 2025",
    )
    assert cvd.version_of("ClamAV 1.4.3") == ("1.4.3", -1, "")
    with pytest.raises(Malformed):
        cvd.version_of("UNKNOWN COMMAND")
