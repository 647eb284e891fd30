"""What nft answers, and what it must not be made to do."""

import json
from datetime import UTC, datetime

import pytest

from collectors.firewall import nft
from collectors.firewall.ruleset import Part, Table
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Completed


class Recorded:
    """A host on which nft answers from a recording."""

    def __init__(self, listing: bytes, outline: bytes, code: int = 0, stderr: bytes = b"") -> None:
        self.commands = self
        self.today = datetime(2026, 1, 31, tzinfo=UTC)
        self.listing, self.outline, self.code, self.stderr = listing, outline, code, stderr

    def now(self) -> datetime:
        return self.today

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 0) -> Completed:
        stdout = self.outline if "-j" in argv else self.listing
        return Completed(argv=argv, code=self.code, stdout=stdout, stderr=self.stderr)


OUTLINE = {"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}


def test_a_recorded_firewalld_reads_whole(fixtures) -> None:
    listing, outline = (fixtures / "firewalld.nft").read_bytes(), (fixtures / "firewalld.chains.json").read_bytes()
    (table,), managed, blind = nft.read(Recorded(listing, outline))
    assert (table.family, table.name) == ("inet", "firewalld")
    assert len(table.chains) == len(json.loads(outline)["nftables"]) - 1
    assert managed == frozenset()
    assert blind == []


@pytest.mark.parametrize(
    ("stderr", "why"),
    [
        (b"netlink: Error: cache initialization failed: Operation not permitted", Why.PERMISSION),
        (b"Operation not permitted (you must be root)", Why.PERMISSION),
        (b"nft: invalid option -- 't'", Why.INCOMPATIBLE),
        (b"Error: JSON support not compiled-in", Why.INCOMPATIBLE),
        (b"", Why.OTHER),
    ],
)
def test_a_refusal_is_told_with_its_reason(stderr: bytes, why: Why) -> None:
    with pytest.raises(Unavailable) as caught:
        nft.read(Recorded(b"", b"", code=1, stderr=stderr))
    assert caught.value.why is why
    assert caught.value.advice


@pytest.mark.parametrize(
    "outline", [b"", b"{", b'{"nftables": 5}', b'{"nftables": [{"chain": {"family": "ip"}}]}', b"\xff"]
)
def test_json_that_does_not_decode_is_malformed(outline: bytes) -> None:
    with pytest.raises(Malformed):
        nft.read(Recorded(b"", outline))


def test_another_schema_is_not_guessed_at() -> None:
    with pytest.raises(Unavailable) as caught:
        nft.read(Recorded(b"", b'{"nftables": [{"metainfo": {"json_schema_version": 2}}]}'))
    assert caught.value.why is Why.INCOMPATIBLE


def test_a_chain_that_only_one_answer_knows_is_malformed() -> None:
    outline = {"nftables": [*OUTLINE["nftables"], {"chain": {"family": "ip", "table": "t", "name": "hidden"}}]}
    with pytest.raises(Malformed, match="hidden"):
        nft.read(Recorded(b"table ip t {\n}\n", json.dumps(outline).encode()))


def test_tables_of_iptables_are_known_by_the_warning() -> None:
    warning = b"# Warning: table ip filter is managed by iptables-nft, do not touch!\n"
    host = Recorded(b"table ip filter {\n}\n", json.dumps(OUTLINE).encode(), stderr=warning)
    _, managed, _ = nft.read(host)
    assert managed == {("ip", "filter")}


@pytest.mark.parametrize("name", ["x; flush ruleset", "x\nflush ruleset", "", "a b", "é", "-f"])
def test_a_name_that_nft_would_read_as_a_program_is_never_handed_to_it(name: str) -> None:
    class Forbidden:
        commands = None

    blind = nft.read_elements(Forbidden(), Table("ip", "t"), Part("set", name, ()), 1 << 20, "")
    assert blind is not None
    assert blind.why is Why.MALFORMED


def test_a_set_that_is_too_large_is_tried_once_a_day() -> None:
    class Large(Recorded):
        asked = 0

        def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 0) -> Completed:
            self.asked += 1
            raise Unavailable(Why.TOO_LARGE, "too much")

    host, digest = Large(b"", b""), ""
    for day, asked in ((1, 1), (1, 1), (2, 2)):
        host.today = datetime(2026, 1, day, tzinfo=UTC)
        part = Part("set", "s", ())
        blind = nft.read_elements(host, Table("ip", "t"), part, 100, digest)
        assert blind is not None
        assert blind.why is Why.TOO_LARGE
        assert host.asked == asked
        digest = part.digest


def test_elements_are_digested_in_any_order() -> None:
    def digest(elements: str) -> str:
        part = Part("set", "s", ())
        answer = f"table ip t {{\n\tset s {{\n\t\ttype ipv4_addr\n\t\telements = {{ {elements} }}\n\t}}\n}}\n".encode()
        assert nft.read_elements(Recorded(answer, b""), Table("ip", "t"), part, 1 << 20, "") is None
        assert part.elements == 2
        return part.digest

    assert digest("192.0.2.1, 192.0.2.2") == digest("192.0.2.2,\n\t\t\t     192.0.2.1")
    assert digest("192.0.2.1, 192.0.2.2") != digest("192.0.2.1, 192.0.2.3")
