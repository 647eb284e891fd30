"""What differs between two looks at the listening ports, as events; what could not be seen is never a difference."""

from collections.abc import Mapping

import msgspec

from collectors.ports import events
from contracts.event import Event
from contracts.host import Sockets
from contracts.subjects.ports import Listener


def carried(before: Mapping[str, Listener], after: Mapping[str, Listener], found: Sockets) -> dict[str, Listener]:
    """Return the rows of `before` whose namespace could not be looked into this time: they are not gone, they are not seen."""
    if found.all_namespaces:
        return {}
    seen = {*found.namespaces, found.home}
    return {key: row for key, row in before.items() if key not in after and "#" in key and row.netns not in seen}


class Drift:
    """Compares; `ignore_clients` holds back the short-lived UDP sockets of clients until they have stayed for `grace_ms`."""

    def __init__(self, before: Mapping[str, Listener], now_ms: int, *, ignore_clients: bool, grace_ms: int) -> None:
        self._before = before
        self._now_ms = now_ms
        self._ignore_clients = ignore_clients
        self._grace_ms = grace_ms
        self.events: list[Event] = []

    def settle(self, after: dict[str, Listener], replaced: Mapping[str, bool]) -> None:
        """Note the events that lead from before to `after`, and mark there what is reported; `replaced` tells of upgraded files."""
        known = self._before.get
        for key, row in after.items():
            former = known(key)
            if former is row and not row.ephemeral:
                continue
            if row.ephemeral and self._ignore_clients:
                if not row.settled and self._now_ms - row.since_ms >= self._grace_ms:
                    after[key] = row = msgspec.structs.replace(row, settled=True)
                    self.events.append(events.ephemeral(key, row, reasons(row, replaced)))
            elif former is None:
                self.events.append(events.opened(key, row, reasons(row, replaced)))
            if former is not None and former != row:
                self._compare(key, former, row, replaced)
        for key, row in self._before.items():
            if key not in after and not (row.ephemeral and self._ignore_clients):
                self.events.append(events.closed(key, row))

    def _compare(self, key: str, former: Listener, row: Listener, replaced: Mapping[str, bool]) -> None:
        if row.ephemeral and self._ignore_clients and not row.settled:
            return
        what = []
        if former.last_owner and row.last_owner and former.last_owner != row.last_owner:
            old, new = former.last_owner.partition(" "), row.last_owner.partition(" ")
            what += ["executable"] if old[2] != new[2] else []
            what += ["user"] if old[0] != new[0] else []
        elif row.executable_deleted and not former.executable_deleted and former.owner_known:
            what.append("executable replaced" if replaced.get(row.executable) else "executable deleted")
        if what:
            is_bad = what != ["executable replaced"] and bool(reasons(row, replaced))
            self.events.append(events.changed(key, row, former.last_owner, tuple(what), is_bad))


def reasons(row: Listener, replaced: Mapping[str, bool]) -> tuple[str, ...]:
    """Return why a listener is suspicious whoever expects it."""
    found = []
    if row.executable_deleted and not replaced.get(row.executable):
        found.append("its executable was deleted")
    if row.writable_place:
        found.append("anyone may write where its executable lies")
    return tuple(found)
