"""What a session is to those who hand on its bytes: its number, its state, both sides, and how far its bytes are followed."""

from collectors.traffic.streams import state as states
from collectors.traffic.streams.options import StreamOptions
from collectors.traffic.streams.policy import Policy
from collectors.traffic.streams.segment import Segment
from collectors.traffic.streams.side import Side


class Both:
    """Both sides of a session. `inline`, `async_oneside` and `depth` are those of its options, which every packet asks for."""

    __slots__ = ("async_oneside", "client", "depth", "inline", "server", "slot", "state")

    def __init__(self, slot: int, options: StreamOptions, policy: Policy) -> None:
        self.slot = slot
        self.state = states.NONE
        self.inline, self.async_oneside, self.depth = options.inline, options.async_oneside, options.depth
        self.client, self.server = Side(policy), Side(policy)

    def sides(self, segment: Segment) -> tuple[Side, Side]:
        """Return the sender's and the receiver's side."""
        return (self.server, self.client) if segment.to_client else (self.client, self.server)
