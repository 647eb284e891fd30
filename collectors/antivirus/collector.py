"""Looks at antivirus products and their signatures; whether they are fresh is for the judge `antivirus.state`."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

from collectors.antivirus import clamav, defender, generic
from collectors.antivirus.asking import Asking
from collectors.antivirus.options import Options
from contracts.collector import Report
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
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

_ADVICE = "wait for the next look; if it stays so, see whether the product or its tool hangs"


class AntivirusCollector:
    """One row for every product."""

    name: ClassVar[str] = SUBJECT
    kinds: ClassVar[tuple[Kind, ...]] = (UNSIGNED,)
    row: type[Product] = Product
    options: ClassVar[type[Options]] = Options
    patience_s: ClassVar[float] = 0.04
    """So long a look waits for all products together: the other looks of this worker, and with them the changes of files, wait for it."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._asking: dict[str, Asking] = {}

    def collect(self, host: ReadOnlyHost, before: Snapshot[Product]) -> Report[Product]:
        """Look at each product. One of which nothing could be found out keeps no age: its row says what is unknown.

        A product that does not answer within `patience_s` keeps the row of its last answer; raises `Unavailable` where there is none.
        """
        looks = self._looks(host, before)
        for name, look in looks.items():
            self._asking.setdefault(name, Asking(name, host)).begin(look)
        until = host.monotonic() + self.patience_s
        after: dict[str, Product] = {}
        blind: list[Blind] = []
        for name in looks:
            asking = self._asking[name]
            answer = asking.take(until - host.monotonic())
            if answer is not None:
                blind += answer.blind
                product = answer.product
            else:
                blind += asking.unanswered()
                product = before.rows.get(name)
                if product is None and asking.answered_at is None:
                    raise Unavailable(Why.TIMEOUT, f"{name} has not answered yet", advice=_ADVICE)
            if product is not None:
                after[name] = product
        return Report(
            events=_unsigned(before, after), changes=compare(before.rows, after), blind=tuple(dict.fromkeys(blind))
        )

    def _looks(
        self, host: ReadOnlyHost, before: Snapshot[Product]
    ) -> dict[str, Callable[[list[Blind]], Product | None]]:
        """How each product is looked at, by its key."""
        options, looks = self._options, dict[str, Callable[[list[Blind]], Product | None]]()
        if options.clamav.enabled:
            looks[clamav.KEY] = lambda blind: clamav.look(host, options, before.rows.get(clamav.KEY), blind)
        if options.defender:
            looks[defender.KEY] = lambda blind: defender.look(host, options, blind)
        for name, wanted in sorted(options.products.items()):
            looks[name] = partial(generic.look, host, options, name, wanted)
        return looks


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
