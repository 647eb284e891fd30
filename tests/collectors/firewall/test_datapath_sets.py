"""Elements of sets: by their values alone, whatever changes by itself."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.firewall.datapath_sets import Sets, stripped
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Completed


def answer(elements: Any, sort: str = "set", **more: Any) -> bytes:
    body = {"family": "ip", "name": "s", "table": "t", **more, "elem": elements}
    return json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, {sort: body}]}).encode()


def elements(raw: bytes, sort: str = "set") -> Any:
    return json.loads(stripped(raw, sort))["elem"]


def test_what_counts_and_expires_is_left_out() -> None:
    full = {"val": "192.0.2.1", "timeout": 60, "expires": 5, "comment": "c", "counter": {"packets": 1, "bytes": 2}}
    assert elements(answer([{"elem": full}])) == ["192.0.2.1"]
    assert elements(answer([[{"elem": full}, {"drop": None}]], sort="map"), "map") == [["192.0.2.1", {"drop": None}]]


def test_what_decides_stays_without_its_state() -> None:
    limited = {"val": "192.0.2.1", "limit": {"rate": 5, "per": "second"}, "quota": {"val": 5, "used": 3}, "expires": 4}
    assert elements(answer([{"elem": limited}])) == [
        {"elem": {"val": "192.0.2.1", "limit": {"rate": 5, "per": "second"}, "quota": {"val": 5}}}
    ]


@given(st.permutations(["192.0.2.1", "192.0.2.2", "192.0.2.3"]))
def test_the_order_of_a_hash_table_is_no_change(order: list[str]) -> None:
    wrapped = [{"elem": {"val": value, "expires": place}} for place, value in enumerate(order)]
    assert elements(answer(wrapped)) == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


@given(
    st.recursive(
        st.none() | st.integers(-9, 9) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["elem", "val", "quota", "x"]), inner, max_size=3)
        ),
    )
)
def test_no_element_is_too_odd(element: Any) -> None:
    for sort in ("set", "map"):
        try:
            stripped(answer([element], sort=sort), sort)
        except Malformed:
            pass


@pytest.mark.parametrize("raw", [b"", b"{", b'{"nftables": []}', b"\xff"])
def test_an_answer_without_the_set_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        stripped(raw, "set")


class Kernel:
    """A host whose nft answers one thing and whose sets have one size."""

    def __init__(self, size: int | Unavailable, said: Completed | Unavailable | None = None) -> None:
        self.nftables = self.commands = self
        self.size, self.said = size, said

    def count(self, family: str, table: str, name: str, at_most: int) -> int:
        if isinstance(self.size, Unavailable):
            raise self.size
        return min(self.size, at_most + 1)

    def ask(self, *argv: str, timeout_s: float = 0, max_bytes: int = 0) -> Completed:
        assert self.said is not None, f"{argv} must not be asked"
        if isinstance(self.said, Unavailable):
            raise self.said
        return self.said


def read(host: Any, name: str = "s", most: int = 10, room: int = 1000) -> tuple[tuple[str, str], Sets]:
    sets = Sets(most, room)
    raw = msgspec.Raw(msgspec.json.encode({"family": "ip", "table": "t", "name": name, "type": "ipv4_addr"}))
    return sets.read(host, [("set", raw)])[0], sets


def test_an_empty_set_is_not_asked_for() -> None:
    (document, unread), _ = read(Kernel(0))
    assert "elem" not in document
    assert unread == ""


def test_a_set_that_vanishes_between_is_to_be_read_again() -> None:
    gone = Completed(argv=("nft",), code=1, stdout=b"", stderr=b"Error: No such file or directory")
    with pytest.raises(Malformed, match="vanished"):
        read(Kernel(1, gone))
    with pytest.raises(Malformed, match="vanished"):
        read(Kernel(Unavailable(Why.NOT_PRESENT, "gone")))


def test_more_bytes_than_the_limit_are_unread() -> None:
    long = Completed(argv=("nft",), code=0, stdout=answer(["192.0.2.1"] * 200), stderr=b"")
    (document, unread), _ = read(Kernel(5, long))
    assert unread == "more than 1000 bytes"
    assert "elem" not in document


@pytest.mark.parametrize("name", ["x; flush ruleset", "a b", "é", "-f", 'q"'])
def test_a_name_that_nft_would_read_as_a_program_is_never_handed_to_it(name: str) -> None:
    (_, unread), sets = read(Kernel(1), name)
    assert "name" in unread
    stated: list[Why] = []
    sets.state(type("Sheet", (), {"missing": lambda self, what, why, detail, fix: stated.append(why)})())  # type: ignore[arg-type]
    assert stated == [Why.MALFORMED]
