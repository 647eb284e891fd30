"""What the central execute adds to events: time and dedup key; and the check that a kind is declared."""

from collections import Counter
from collections.abc import Iterable

from contracts.event import Event, Kind, dedup_key, with_details


def stamp(events: Iterable[Event], subject: str, revision: int, observed_ms: int) -> tuple[Event, ...]:
    """Return `events` with time and dedup key; two of the same kind and key in one run stay two."""
    seen: Counter[tuple[str, str]] = Counter()
    stamped = []
    for event in events:
        seen[event.kind, event.key] += 1
        nth = seen[event.kind, event.key]
        key = event.key if nth == 1 else f"{event.key}\0{nth}"
        dedup = event.dedup or dedup_key(subject, revision, event.kind, key)
        stamped.append(with_details(event, observed_ms=observed_ms, dedup=dedup))
    return tuple(stamped)


def check_kinds(events: Iterable[Event], kinds: Iterable[Kind]) -> None:
    """Raise `ValueError` for an event of a kind that its emitter does not declare."""
    declared = {kind.name for kind in kinds}
    for event in events:
        if event.kind not in declared:
            raise ValueError(f"an event of the undeclared kind {event.kind}")
