"""What the console tells of the fleet: the newest signatures that any host has, stated once a version, and daily while that holds."""

from collections.abc import Callable, Mapping

from contracts.event import Event, Lane, Severity
from contracts.subjects.antivirus import CURRENT

AGAIN_MS = 86_400_000
MOST = 16
"""Products; a console that names more is not believed in the rest."""


class FleetNews:
    """For one thread."""

    def __init__(self, happened: Callable[[Event], None]) -> None:
        self._happened = happened
        self._told: dict[str, tuple[int, int]] = {}

    def take(self, newest: Mapping[str, int], now_ms: int) -> None:
        """Take the newest version of each product."""
        for product, version in sorted(newest.items())[:MOST]:
            known, at_ms = self._told.get(product, (-1, 0))
            if version < 0 or not product.isprintable() or (version == known and now_ms - at_ms < AGAIN_MS):
                continue
            self._told[product] = (version, now_ms)
            self._happened(
                Event(
                    kind=CURRENT,
                    key=f"{product[:40]}/fleet",
                    severity=Severity.INFORMATIONAL,
                    lane=Lane.BULK,
                    fields={"product": product[:40], "newest": version, "source": "fleet"},
                    observed_ms=now_ms,
                )
            )
