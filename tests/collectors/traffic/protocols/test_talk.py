"""Who talks in a flow, and what is kept of it."""

import numpy as np

from collectors.traffic.block import from_packets
from collectors.traffic.decode.decoder import DecodeOptions, Decoder
from collectors.traffic.flows.batch import Batch
from collectors.traffic.flows.table import FlowOptions, FlowTable
from collectors.traffic.protocols.parser import Facts, Limits, Parser
from collectors.traffic.protocols.talk import Ends, Talk
from tests.collectors.traffic.streams.talk import ACK, SYN, packet

CLIENT, SERVER = (0, 0x0A000001), (0, 0x0A010002)


def test_the_ends_of_a_flow_are_the_same_whoever_speaks_first_in_a_block() -> None:
    table = FlowTable(FlowOptions())
    decoder = Decoder(DecodeOptions(verify_checksums=False))
    for packets in ([packet(False, SYN, 1), packet(True, SYN | ACK, 9, 2)], [packet(True, ACK, 10, 2)]):
        block = from_packets(packets)
        decoded = decoder.decode(block)
        batch = table.update(block, decoded)
        ends = Ends(decoded, batch, [])
        slot = int(batch.flow[0])
        assert ends.of(slot, False) == Facts(1000, 80, CLIENT, SERVER, False, 4)
        assert ends.of(slot + 1, False) is None and ends.of_ended(slot) is None
    ended = table.shut_down()
    assert Ends(None, None, [ended]).of_ended(slot) == Facts(1000, 80, CLIENT, SERVER, False, 4)
    assert Ends(None, Batch(), []).of(slot, True) is None
    assert np.array_equal(ended.slots, [slot])


def test_a_conversation_begins_unknown_and_wanted() -> None:
    talk = Talk(7, Facts(1, 2, CLIENT, SERVER, True))
    assert (talk.conversation.slot, talk.conversation.protocol, talk.left, talk.looked) == (
        7,
        "",
        False,
        [False, False],
    )


def test_what_is_left_keeps_nothing_to_read_with() -> None:
    talk = Talk(7, Facts(1, 2, CLIENT, SERVER, False))
    talk.parser, talk.waiting, talk.first = (
        Parser(talk.conversation, talk.facts, Limits()),
        [(False, b"x", 0)],
        [b"x", b""],
    )
    talk.leave()
    assert (talk.left, talk.parser, talk.waiting, talk.first) == (True, None, [], [b"", b""])
