"""How often something may happen: token buckets, per source and overall, bounded in memory."""

import ipaddress
import time
from collections.abc import Callable

MAX_SOURCES = 10_000


class Limiter:
    """Counts failures. Each source may fail `burst` times, then once per `refill_s`; all together as `overall_*` says."""

    def __init__(
        self,
        burst: int,
        refill_s: float,
        overall_burst: int,
        overall_refill_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._overall = (overall_burst, overall_refill_s)
        self._monotonic = monotonic
        self._sources: dict[str, tuple[float, float]] = {}
        self._all: tuple[float, float] = (float(overall_burst), monotonic())

    def allows(self, source: str) -> bool:
        """Say whether `source` may try now; does not count."""
        return self._level(source) >= 1.0 and self._overall_level() >= 1.0

    def count(self, source: str) -> None:
        """Count one failure of `source`."""
        now = self._monotonic()
        level, everything = self._level(source), self._overall_level()
        if len(self._sources) >= MAX_SOURCES:
            self._forget(now)
        self._sources[source] = (max(0.0, level - 1.0), now)
        self._all = (max(0.0, everything - 1.0), now)

    def _level(self, source: str) -> float:
        level, at = self._sources.get(source, (float(self._burst), self._monotonic()))
        return min(float(self._burst), level + (self._monotonic() - at) / self._refill_s)

    def _overall_level(self) -> float:
        burst, refill_s = self._overall
        level, at = self._all
        return min(float(burst), level + (self._monotonic() - at) / refill_s)

    def _forget(self, now: float) -> None:
        """Forget sources that have recovered, or all: the overall bucket still counts."""
        full = self._burst * self._refill_s
        self._sources = {source: entry for source, entry in self._sources.items() if now - entry[1] < full}
        if len(self._sources) >= MAX_SOURCES:
            self._sources.clear()


def source_of(address: str) -> str:
    """Return what to count by: an IPv4 address, or the /64 that an IPv6 address is in, for whoever has one address there has all."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, 64), strict=False))
