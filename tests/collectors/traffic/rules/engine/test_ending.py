"""The end of a flow stands in for a packet: its ends and direction, no headers, no payload."""

from collectors.traffic.rules.engine.ending import Ending
from tests.collectors.traffic.rules.engine import scene


def test_ends_are_those_of_the_direction() -> None:
    told = scene.fed([scene.udp(b"x")])
    block, table, batch, _, _, columns = told
    slot = int(batch.flow[0])
    there, back = (Ending(block, table, columns, slot, slot, way) for way in (0, 1))
    assert (there.source, there.sport) == (back.destination, back.dport)
    assert (there.dport, there.to_client, back.to_client) == (9999, False, True)
    assert (there.payload, there.header4, there.number, there.pseudo) == (b"", b"", 0, True)
    assert (there.protocol, there.family, there.established) == (17, 4, True)


def test_rules_of_packets_do_not_speak_at_a_flows_end() -> None:
    talk = scene.Talk(dport=9999).ask(b"needle").packets
    lines = ['alert tcp-pkt any any -> any any (content:"needle";)', "alert tcp any any -> any any (flags:A;)"]
    assert all(one.packet.number for one in scene.alerts(talk, *lines))
