"""Who a key is about is kept beside its counts."""

import numpy as np

from collectors.traffic.detectors import ends
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.tally import Tally
from collectors.traffic.flows.store import Columns


def test_ends_are_those_of_the_flow() -> None:
    columns, tally = Columns(2), Tally(1.0, ends.ENDS)
    columns.family[1], columns.protocol[1], columns.dport[1] = 6, 17, 53
    columns.src_hi[1], columns.src_lo[1] = 0x20010DB8 << 32, 1
    columns.dst_hi[1], columns.dst_lo[1] = 0x20010DB8 << 32, 2
    slots, _ = tally.enter(np.array([5], np.uint64), 0, 0)
    ends.note(tally, slots, columns, np.array([1]))
    slot = int(slots[0])
    assert (ends.client(tally, slot), ends.server(tally, slot)) == ("2001:db8::1", "2001:db8::2")
    assert ends.service(tally, slot) == "[2001:db8::2]:53/udp"


def test_flows_of_one_client_to_one_service_have_one_word() -> None:
    columns = Columns(4)
    columns.src_lo[:], columns.dst_lo[:], columns.dport[:] = [1, 1, 2, 1], [9, 9, 9, 9], [80, 80, 80, 81]
    one, same, *others = ends.by_client_and_service(Mixer(), columns, np.arange(4)).tolist()
    assert one == same and one not in others
