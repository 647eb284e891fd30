"""Both sides of a session."""

from collectors.traffic.streams import state
from collectors.traffic.streams.both import Both
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import ACK, Segment


def test_a_packet_has_its_sender_and_its_receiver() -> None:
    both = Both(7, StreamOptions(depth=99, inline=True), Policy.LINUX)
    assert (both.slot, both.state, both.depth, both.inline, both.async_oneside) == (7, state.NONE, 99, True, False)
    for to_client in (False, True):
        sender, receiver = both.sides(Segment(to_client, ACK, 1, 2, 3, b"", 0, 0))
        assert (sender is both.server, receiver is both.client) == (to_client, to_client)
    assert both.client.policy is both.server.policy is Policy.LINUX
