"""How long a ban lasts: longer each time, and from the beginning again for a source that kept quiet."""

import ipaddress
from collections.abc import Mapping, Sequence

from actions.block.address import Network, canonical, inside
from actions.block.saved import Entry, Offences


def duration_s(offences: Offences | None, durations: Sequence[float], now_ms: int, forget_s: float) -> float:
    """Return the seconds for a source with these former bans."""
    if offences is None or offences.last_ms + forget_s * 1000 <= now_ms:
        return durations[0]
    return durations[min(offences.count, len(durations) - 1)]


def counted(offences: Offences | None, now_ms: int, forget_s: float) -> Offences:
    """Return the record after one more ban."""
    former = 0 if offences is None or offences.last_ms + forget_s * 1000 <= now_ms else offences.count
    return Offences(count=former + 1, last_ms=now_ms)


def widened(network: Network, bans: Mapping[str, Entry], now_ms: int, window_s: float, enough: int) -> Network:
    """Return the /64 of an IPv6 address when `enough` addresses of it, this one included, were banned within the window."""
    if network.version != 6 or network.prefixlen <= 64:
        return network
    whole = network.supernet(new_prefix=64)
    begin_ms = now_ms - window_s * 1000
    others = {
        name
        for name, entry in bans.items()
        if ":" in name and entry.since_ms >= begin_ms and name != canonical(network) and inside(_parsed(name), whole)
    }
    return whole if len(others) + 1 >= enough else network


def _parsed(name: str) -> Network:
    return ipaddress.ip_network(name)
