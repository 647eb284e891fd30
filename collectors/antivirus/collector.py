"""Looks at antivirus products and their signatures; whether they are fresh is for the judge `antivirus.state`."""

from typing import ClassVar

from collectors.antivirus import clamav, defender, generic
from collectors.antivirus.options import Options
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.event import Event, Kind, Severity
from contracts.host import ReadOnlyHost
from contracts.snapshot import Snapshot, compare
from contracts.subjects.antivirus import SUBJECT, Product

UNSIGNED = Kind(
    name="antivirus.database_unsigned",
    meaning="A file of signatures came, or changed, that bears no digital signature which was checked: a third party's, or anybody's.",
    title="Signatures without a checked digital signature: {file} of {product} ({state})",
    severity=Severity.LOW,
    fields={"product": "str", "file": "str", "state": "str"},
    attack=("T1562.001",),
    advice="Say who brings it; signatures that allow files (.fp .sfp .ign2) can hide malware.",
)


class AntivirusCollector:
    """One row for every product."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (UNSIGNED,)
    row: type[Product] = Product
    options: ClassVar[type[Options]] = Options

    def __init__(self, options: Options) -> None:
        self._options = options

    def collect(self, host: ReadOnlyHost, before: Snapshot[Product]) -> Report[Product]:
        """Look at each product. One of which nothing could be found out keeps no age: its row says what is unknown."""
        after: dict[str, Product] = {}
        blind: list[Blind] = []
        options = self._options
        if options.clamav.enabled:
            product = clamav.look(host, options, before.rows.get(clamav.KEY), blind)
            if product is not None:
                after[clamav.KEY] = product
        if options.defender and (found := defender.look(host, options, blind)) is not None:
            after[defender.KEY] = found
        for name, wanted in sorted(options.products.items()):
            after[name] = generic.look(host, options, name, wanted, blind)
        return Report(
            events=_unsigned(before, after), changes=compare(before.rows, after), blind=tuple(dict.fromkeys(blind))
        )


def _unsigned(before: Snapshot[Product], after: dict[str, Product]) -> tuple[Event, ...]:
    found = []
    for product in after.values():
        former = before.rows.get(product.name)
        known = {(each.name, each.form, each.changed_ms) for each in former.databases} if former else set()
        for each in product.databases:
            if each.signed != "verified" and not each.flaw and (each.name, each.form, each.changed_ms) not in known:
                name = f"{each.name}.{each.form}"
                found.append(
                    UNSIGNED.event(f"{product.name}/{name}", product=product.name, file=name, state=each.signed)
                )
    return tuple(found)
