"""`contracts.netfilter.Netfilter` for Linux: sets, tracked connections and sockets of this network namespace, over netlink."""

from collections.abc import Mapping, Sequence

from contracts.errors import Unavailable, Why
from contracts.netfilter import Cut, Departures, Element, Flow
from host import conntrack, set_elements, sock_destroy
from host.departures import LeavingPackets


class LinuxNetfilter:
    """Reads and changes; has no state."""

    def elements(self, table: str, name: str) -> list[Element]:
        """Return every element of a set."""
        return set_elements.elements(table, name)

    def intervals(self, table: str, name: str) -> list[tuple[int, int]]:
        """Return first and last address of every element as numbers, ascending."""
        return set_elements.intervals(table, name)

    def element(self, table: str, name: str, address: str) -> Element | None:
        """Return the element that holds `address`."""
        return set_elements.element(table, name, address)

    def flows(self, network: str) -> list[Flow]:
        """Return the tracked flows that addresses of `network` began."""
        return [entry.flow for entry in conntrack.flows(network)]

    def add(self, table: str, name: str, elements: Sequence[Element]) -> None:
        """Add all `elements` or none."""
        set_elements.add(table, name, elements)

    def delete(self, table: str, name: str, networks: Sequence[str]) -> None:
        """Delete all elements that are exactly `networks`, or none."""
        set_elements.delete(table, name, networks)

    def change(self, table: str, gone: Mapping[str, Sequence[Element]], come: Mapping[str, Sequence[Element]]) -> None:
        """Delete and add elements, by set, in one transaction."""
        set_elements.change(table, gone, come)

    def cut(self, network: str) -> Cut:
        """Delete the tracked flows of `network` and close the sockets that are connected with it; what cannot be done is named."""
        blind: list[str] = []
        deleted, sockets = 0, 0
        kept: tuple[Flow, ...] = ()
        try:
            entries = conntrack.flows(network)
            left = conntrack.delete(entries)
            deleted, kept = len(entries) - len(left), tuple(entry.flow for entry in left)
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:  # without connection tracking there is nothing to cut
                blind.append(error.message)
        try:
            sockets, trouble = sock_destroy.close(network)
            blind += [trouble] if trouble else []
        except Unavailable as error:
            blind.append(error.message)
        return Cut(deleted=deleted, kept=kept, sockets=sockets, blind=tuple(blind))

    def departures(self, network: str) -> Departures:
        """Begin to count what of `network` leaves this host again."""
        return LeavingPackets(network)
