"""Senders that pass on what others ask: load balancers and reverse proxies. What visitors do is told of them, and never held against them.

Those of the settings, and those at home that say for whom they ask. A stranger who says so may be lying to escape a ban: such a one has
to be in the settings.
"""

from collections import OrderedDict
from collections.abc import Iterable

from collectors.traffic.decode.table import address
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.flows.store import Columns
from collectors.traffic.protocols.http.headers import Headers

HEADERS = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
"""What proxies put before a request to say whose it is (RFC 7239, and what was there before it)."""
PASSED_ON = 3
"""So many requests say whose they are before their sender is taken for a proxy, and at least half of all since the first of them: no more
than make it known as one that probes."""
_REMEMBERED = 4096


class Proxies:
    """Who passes on requests; `listed` are the networks of the settings."""

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._listed = Prefixes(listed)
        self._seen: OrderedDict[tuple[str, int], list[int]] = OrderedDict()

    def request(self, columns: Columns, slot: int, headers: Headers) -> None:
        """Take note of a request of a flow."""
        is_passed_on = any(headers.get(name) is not None for name in HEADERS)
        if not is_passed_on and not self._seen:
            return  # the common case, on servers that nothing stands before
        sender = address(int(columns.family[slot]), int(columns.src_hi[slot]), int(columns.src_lo[slot]))
        key = sender, int(columns.dport[slot])
        counts = self._seen.get(key)
        if counts is None:
            if not is_passed_on:
                return
            counts = self._seen[key] = [0, 0]
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        counts[0] += is_passed_on
        counts[1] += 1

    def has(self, sender: str, port: int, home: Prefixes) -> bool:
        """Say whether a sender passes on what others ask of a port; `home` are our networks."""
        if self._listed and self._listed.has(sender):
            return True
        passed_on, requests = self._seen.get((sender, port), (0, 0))
        return passed_on >= PASSED_ON and passed_on * 2 >= requests and home.has(sender)

    def take_over(self, former: "Proxies") -> None:
        """Go on with what was seen of senders so far."""
        self._seen = former._seen
