"""Directions whose bytes no rule may look at do not wait; all others do, and those of which nothing is known yet."""

import numpy as np
import pytest
from scapy.layers.inet import ICMP, IP

from collectors.traffic import reading
from collectors.traffic.pcap import PcapSource
from collectors.traffic.rules.engine import headers
from collectors.traffic.rules.engine.followed import Followed
from collectors.traffic.rules.engine.headers import HeaderKinds
from collectors.traffic.rules.engine.sets import HeaderSets
from collectors.traffic.rules.language.groups import addresses, ports
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.rules.engine import scene


def _followed(target: str, port: str) -> tuple[HeaderKinds, Followed]:
    sets = HeaderSets()
    number = sets.add(addresses("any", {}), ports("any", {}), addresses(target, {}), ports(port, {}))
    kinds = HeaderKinds(sets, range(len(sets.addresses)), [[number]])
    return kinds, Followed(kinds, 0)


def test_only_the_direction_that_a_header_fits_is_followed() -> None:
    told = scene.fed(scene.Talk(dport=9999).ask(b"a").answer(b"b").packets)
    rows, batch = scene.rows(told), told[2]
    slot = int(rows.slots[0])
    kinds, followed = _followed("any", "9999")
    both = np.array([slot * 2, slot * 2 + 1])
    assert followed.wants(both).tolist() == [True, True]
    followed.see(rows, batch)
    assert followed.wants(both).tolist() == [True, False]
    assert kinds.wanted[rows.kinds[batch.rows], 0].tolist() == (~batch.to_client).tolist()
    followed.end(np.array([slot]))
    assert followed.wants(both).tolist() == [True, True]


def test_where_a_header_holds_everything_all_is_followed() -> None:
    told = scene.fed(scene.Talk().ask(b"a").packets)
    rows = scene.rows(told)
    _, followed = _followed("any", "any")
    followed.see(rows, told[2])
    assert followed.wants(np.arange(100)).all()


def test_an_error_about_a_flow_says_nothing_of_its_kind() -> None:
    asked = scene.udp(b"x", dport=53)
    error = bytes(ether() / IP(src="10.0.0.9", dst=scene.CLIENT) / ICMP(type=3, code=3) / asked[14:])
    told = scene.fed([asked, error])
    rows, batch = scene.rows(told), told[2]
    assert batch.related.tolist() == [1]
    _, followed = _followed(scene.CLIENT, "any")
    followed.see(rows, batch)
    assert rows.kinds[1] == -1
    assert followed.wants(rows.slots[batch.related] * 2 + rows.sides[batch.related]).tolist() == [True]


@pytest.mark.parametrize("size", [2, 100])
def test_alerts_are_the_same_when_kinds_are_forgotten_at_every_block(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    talks = [scene.Talk(sport=40_000 + number, dport=9000 + number % 3) for number in range(6)]
    for talk in talks:
        talk.ask(b"a need").answer(b"needle").ask(b"le").close()
    packets = [packet for together in zip(*(talk.packets for talk in talks), strict=True) for packet in together]
    lines = [
        f'alert {header} (flow:established; content:"needle";)'
        for header in ("tcp any any -> any 9001", "tcp any 9002 -> any any", "tcp any 40003 <> any any")
    ]
    whole = scene.counts(packets, *lines)
    assert whole == {1: 2, 2: 2, 3: 2}
    monkeypatch.setattr(headers, "MOST_ENDS", 0)
    monkeypatch.setattr(reading, "open_capture", lambda file: PcapSource(file, block_packets=size))
    assert scene.counts(packets, *lines) == whole
