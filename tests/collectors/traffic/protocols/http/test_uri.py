import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.traffic.protocols.http.uri import (
    Uri,
    decode,
    host_and_port,
    normalise,
    normalise_path,
    split,
    valid_host,
)


@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (b"/a/b?c=d#e", Uri(None, None, b"/a/b", b"c=d", b"e")),
        (b"*", Uri(None, None, b"*", None, None)),
        (b"http://host:8080/x?y", Uri(b"host", b"8080", b"/x", b"y", None)),
        (b"http://user:pw@host/x", Uri(b"host", None, b"/x", None, None)),
        (b"http://[::1]:80/", Uri(b"[::1]", b"80", b"/", None, None)),
        (b"", Uri(None, None, None, None, None)),
    ],
)
def test_targets_are_split(target: bytes, parts: Uri) -> None:
    assert split(target) == parts


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/a/../b/./c", b"/b/c"),
        (b"/a%2f..%5cb", b"/b"),
        (b"//x///y", b"/x/y"),
        (b"\\a\\b", b"/a/b"),
        (b"/%u0041%u002e", b"/A."),
        (b"/%zz%1", b"/%zz%1"),
        (b"/../../etc/passwd", b"/etc/passwd"),
        (b"/a/..", b"/"),
        (b"/caf%c3%a9", b"/caf\xe9"),
        (b"/%ef%bc%8ex", b"/.x"),
        (b"/file.ext", b"/file.ext"),
        (b"/Case%41", b"/CaseA"),
    ],
)
def test_paths_are_normalised_as_the_stock_configuration_does(path: bytes, normal: bytes) -> None:
    assert normalise_path(path) == normal


def test_queries_are_decoded_once_and_keep_their_plus_signs() -> None:
    assert normalise(split(b"/p?a+b%3d%2541#f%20")) == b"/p?a+b=%41#f "


@given(st.binary(max_size=60))
def test_normalising_never_raises_and_never_grows_beyond_the_text(target: bytes) -> None:
    assert len(normalise(split(target))) <= len(target) + 3
    assert decode(target) == target or b"%" in target


@given(st.lists(st.sampled_from([b"a", b"..", b".", b"b.c", b""]), max_size=8))
def test_no_dot_segment_is_left_in_a_rooted_path(segments: list[bytes]) -> None:
    assert not {b".", b".."} & set(normalise_path(b"/" + b"/".join(segments)).split(b"/"))


def test_hosts_and_ports() -> None:
    assert host_and_port(b"Example.org:8080") == (b"Example.org", 8080, True)
    assert host_and_port(b"h:0") == (b"h", None, False)
    assert host_and_port(b"[::1]:443") == (b"[::1]", 443, True)
    assert host_and_port(b"a..b")[2] is False
    assert valid_host(b"a_b-c.example") and not valid_host(b"") and not valid_host(b".a") and not valid_host(b"a b")
