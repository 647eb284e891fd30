"""Who a counted key is about: the ends of one of its flows, kept beside its counts."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collectors.traffic.block import I64, U64
from collectors.traffic.detectors.finding import endpoint
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.tally import Tally
from collectors.traffic.flows.store import Columns

ENDS: Mapping[str, npt.DTypeLike] = {
    "family": np.uint8,
    "protocol": np.uint8,
    "dport": np.uint16,
    "src_hi": np.uint64,
    "src_lo": np.uint64,
    "dst_hi": np.uint64,
    "dst_lo": np.uint64,
}
"""Columns of a `Tally` that `note` fills in."""


def note(tally: Tally, slots: I64, columns: Columns, flows: I64) -> None:
    """Keep the ends of `flows` for the keys at `slots`."""
    for name in ENDS:
        tally.values[name][slots] = getattr(columns, name)[flows]


def by_client_and_service(mixer: Mixer, columns: Columns, flows: I64) -> U64:
    """Return the word of each flow's client, server and port."""
    one = mixer(columns.src_hi[flows], columns.src_lo[flows])
    other = mixer(columns.dst_hi[flows], columns.dst_lo[flows])
    return mixer(one, other, columns.dport[flows].astype(np.uint64))


def client(tally: Tally, slot: int) -> str:
    """Return the client's address."""
    value = tally.values
    return endpoint(int(value["family"][slot]), int(value["src_hi"][slot]), int(value["src_lo"][slot]))


def server(tally: Tally, slot: int) -> str:
    """Return the server's address."""
    value = tally.values
    return endpoint(int(value["family"][slot]), int(value["dst_hi"][slot]), int(value["dst_lo"][slot]))


def service(tally: Tally, slot: int) -> str:
    """Return the server's address with port and protocol."""
    value = tally.values
    return endpoint(
        int(value["family"][slot]),
        int(value["dst_hi"][slot]),
        int(value["dst_lo"][slot]),
        int(value["dport"][slot]),
        int(value["protocol"][slot]),
    )
