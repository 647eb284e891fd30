"""What nft answers, taken apart; the real nft is met in `test_datapath`."""

import json
from typing import Any

import pytest

from collectors.firewall import datapath_nft
from collectors.firewall.datapath_rows import Sheet
from collectors.firewall.datapath_sets import Sets
from contracts.errors import Unavailable, Why
from contracts.host import Completed

META = {"metainfo": {"version": "1.0.6", "json_schema_version": 1}}
TABLE = {"table": {"family": "inet", "name": "t", "handle": 1}}
CHAIN = {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 1}}
RULE = {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 7, "expr": [{"drop": None}]}}


class Recorded:
    """A host on which nft answers from a recording; `generations` are told one after another."""

    def __init__(self, parts: list[dict[str, Any]], listing: str = "", generations: tuple[int, ...] = (1,)) -> None:
        self.commands = self.nftables = self
        self.body = json.dumps({"nftables": parts}).encode()
        self.listing = listing
        self.generations = list(generations)

    def generation(self) -> int:
        return self.generations.pop(0) if len(self.generations) > 1 else self.generations[0]

    def count(self, *names: Any) -> int:
        raise Unavailable(Why.NOT_PRESENT, "gone")

    def ask(self, *argv: str, **limits: Any) -> Completed:
        if argv[0] != "nft":
            raise Unavailable(Why.TOOL_MISSING, f"{argv[0]} is not installed")
        return Completed(argv=argv, code=0, stdout=self.body if "-j" in argv else self.listing.encode(), stderr=b"")


def read(host: Any) -> Sheet:
    sheet = Sheet({})
    datapath_nft.state(datapath_nft.read(host, Sets(10, 1000)), sheet)
    return sheet


def test_a_rule_has_its_words_from_the_listing() -> None:
    sheet = read(Recorded([META, TABLE, CHAIN, RULE], "table inet t {\n\tchain c {\n\t\tdrop\n\t}\n}\n"))
    assert sheet.rows["rule inet t c 7"].text == "drop"
    assert sheet.rows["chain inet t c"].order == (7,)


@pytest.mark.parametrize("listing", ["", "table inet t {\n\tchain c {\n\t\tdrop\n\t\tdrop\n\t}\n}\n", "nonsense\n"])
def test_a_listing_that_tells_another_story_gives_no_words(listing: str) -> None:
    sheet = read(Recorded([META, TABLE, CHAIN, RULE], listing))
    assert sheet.rows["rule inet t c 7"].text == ""
    assert sheet.rows["chain inet t c"].order == (7,)


def test_another_schema_is_not_guessed_at() -> None:
    with pytest.raises(Unavailable) as caught:
        read(Recorded([{"metainfo": {"json_schema_version": 2}}]))
    assert caught.value.why is Why.INCOMPATIBLE


@pytest.mark.parametrize("body", [b"", b"{", b'{"nftables": 5}', b'{"nftables": [{"chain": 7}]}', b"\xff"])
def test_json_that_does_not_decode_fails_the_look(body: bytes) -> None:
    host = Recorded([])
    host.body = body
    with pytest.raises(Unavailable, match="does not decode"):
        read(host)


def test_a_part_that_is_not_known_yet_is_stated_as_an_object() -> None:
    sheet = read(Recorded([META, {"tunnel": {"family": "inet", "table": "t", "name": "x", "id": 5}}]))
    assert json.loads(sheet.rows["object inet t tunnel x"].document)["id"] == 5


def test_a_generation_that_moves_for_an_unchanged_listing_is_elements_alone() -> None:
    assert read(Recorded([META, TABLE], "table inet t {\n}\n", generations=(1, 2))).rows


def test_a_set_that_vanishes_again_and_again_fails_the_look() -> None:
    with pytest.raises(Unavailable, match=r"vanished while it was read \(3 tries\)"):
        read(Recorded([META, TABLE, {"set": {"family": "inet", "table": "t", "name": "s"}}]))
