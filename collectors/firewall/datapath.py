"""Looks at everything that decides on a packet's way: ruleset, ipsets, addresses, routes, switches, programs, and from where to judge."""

from typing import Annotated, ClassVar

from msgspec import Meta

from collectors.firewall import (
    datapath_network,
    datapath_nft,
    datapath_programs,
    datapath_vantages,
    datapath_xfrm,
    datapath_xtables,
)
from collectors.firewall.datapath_rows import Sheet
from collectors.firewall.datapath_sets import Sets
from contracts.collector import Report
from contracts.event import Kind
from contracts.host import ReadOnlyHost
from contracts.options import CollectorOptions, Duration, Size
from contracts.snapshot import Snapshot, compare
from contracts.subjects.datapath import SUBJECT, Row, Vantage


class Options(CollectorOptions):
    """Settings of the collector of what decides on packets."""

    every: Annotated[
        Duration,
        Meta(
            description="Time between two full looks; changes that netlink tells of are looked at at once (those of the ruleset while the"
            " collector firewall is enabled)."
        ),
    ] = 120.0
    max_elements: Annotated[
        int, Meta(description="The elements of larger sets are not read; what depends on them is uncertain.", ge=0)
    ] = 20_000
    max_set_bytes: Annotated[
        Size, Meta(description="The same for sets whose elements take more than this, at most 640KiB.", le=640 << 10)
    ] = 640 << 10
    max_routes: Annotated[
        int, Meta(description="How many routes of each family are read; with more, exposure is uncertain.", ge=0)
    ] = 5000
    vantages: Annotated[
        tuple[Vantage, ...],
        Meta(
            description="From where reachability is judged. Without any: the internet by the interfaces of the default routes, every"
            " attached network, and this host itself."
        ),
    ] = ()


class DatapathCollector:
    """What decides on a packet's way as rows; it states no events, the judge of exposure does."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = ()
    row: type[Row] = Row
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Row]) -> Report[Row]:
        """Read all of it; raises `Unavailable` when the ruleset cannot be read as it stood at one moment."""
        options = self._options
        sheet = Sheet(before.rows)
        sets = Sets(options.max_elements, options.max_set_bytes)
        ruleset = datapath_nft.read(host, sets)
        datapath_nft.state(ruleset, sheet)
        sets.state(sheet)
        datapath_xtables.put_saved(sheet, ruleset.saved, ruleset.orders)
        del ruleset
        datapath_xtables.put_legacy(sheet, host)
        datapath_xtables.put_ipsets(sheet, host, options.max_elements, options.max_set_bytes)
        datapath_network.read(host, sheet, options.max_routes)
        datapath_programs.read(host, sheet)
        datapath_xfrm.read(host, sheet)
        datapath_vantages.put(sheet, options.vantages)
        return Report(changes=compare(before.rows, sheet.rows), blind=sheet.spots())
