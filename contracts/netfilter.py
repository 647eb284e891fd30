"""What a collector may read of the kernel's sets and flows without a tool, and what an action may change there.

Everything speaks of this host's own network namespace. Tables are of the family inet. Networks are in canonical text (`192.0.2.7`,
`192.0.2.0/24`, `2001:db8::/64`). Every method raises `contracts.errors.Unavailable` when the kernel does not let it look.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from contracts.errors import HoldfastError
from contracts.record import Record


class Overlap(HoldfastError):
    """An element to be added is there already, or shares addresses with one that is."""


class NoSuchSet(HoldfastError):
    """The table or the set is not there."""


class Element(Record):
    """One element of a set of addresses. Times in milliseconds, 0 for none: `timeout_ms` as it was set, `left_ms` until it goes.

    `packets` is what the element's own counter says (0 without one); `comment` as nft shows it. `first` to `last` is the interval.
    """

    network: str
    timeout_ms: int = 0
    left_ms: int = 0
    comment: str = ""
    packets: int = 0
    last: str = ""
    """The last address, where the interval is no network."""


class Flow(Record):
    """One entry of the kernel's connection tracking, as its first packet went.

    `source` and `destination` in canonical text, `protocol` a number. `replied` when packets went both ways; `offloaded` when a flowtable
    carries it past the hooks.
    """

    source: str
    destination: str
    protocol: int
    source_port: int = 0
    port: int = 0
    replied: bool = False
    offloaded: bool = False


class Cut(Record):
    """What became of a source's flows: how many entries were deleted, and which could not be."""

    deleted: int = 0
    kept: tuple[Flow, ...] = ()
    sockets: int = 0
    """How many established sockets of this host were closed."""
    blind: tuple[str, ...] = ()
    """What could not be looked at or done, in words."""


class Departures(Protocol):
    """Counts the packets of one source network that leave this host again by any interface, whatever path they took through it."""

    def count(self) -> int:
        """Return how many left since it was opened."""

    def close(self) -> None:
        """Stop counting."""


class NetfilterReader(Protocol):
    """What may be read."""

    def elements(self, table: str, name: str) -> list[Element]:
        """Return every element of a set; raises `NoSuchSet`."""

    def intervals(self, table: str, name: str) -> list[tuple[int, int]]:
        """Return first and last address of every element as numbers, ascending; for sets of a hundred thousand. Raises `NoSuchSet`."""

    def element(self, table: str, name: str, address: str) -> Element | None:
        """Return the element that holds `address`, None when none does; raises `NoSuchSet`. Costs the same whatever the set's size."""

    def flows(self, network: str) -> list[Flow]:
        """Return the tracked flows that addresses of `network` began."""


class Netfilter(NetfilterReader, Protocol):
    """What an action may change besides."""

    def add(self, table: str, name: str, elements: Sequence[Element]) -> None:
        """Add all `elements` in one transaction, or none; raises `Overlap`, `NoSuchSet`."""

    def delete(self, table: str, name: str, networks: Sequence[str]) -> None:
        """Delete all elements that are exactly `networks`, or none; raises `NoSuchSet` when one (or the set) is not there."""

    def change(self, table: str, gone: Mapping[str, Sequence[Element]], come: Mapping[str, Sequence[Element]]) -> None:
        """Delete and add elements of several sets, by set, in one transaction; raises `Overlap`, `NoSuchSet`.

        Costs by the number of elements named, whatever the sets hold, where `nft` first reads all of a set.
        """

    def cut(self, network: str) -> Cut:
        """Delete the tracked flows that addresses of `network` began, and close this host's sockets that are connected with one."""

    def departures(self, network: str) -> Departures:
        """Begin to count what of `network` leaves this host again."""
