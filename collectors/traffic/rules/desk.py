"""What commands need of the rules, by way of the composition root: checking files, and the variables that rules name."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from collectors.traffic.rules import checking
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.ruleset import Ruleset
from collectors.traffic.rules.language.variables import PORT_GROUPS, Variables

if TYPE_CHECKING:
    from collectors.traffic.reading import Reading
    from collectors.traffic.rules.engine.verdicts import Alert


class RulesDesk:
    """Stateless; see `agent/wiring.py`."""

    def check(self, paths: Iterable[Path], variables: Variables, classification: Path | None) -> Ruleset:
        """Return what loads and what does not; raises `OSError` and `ValueError` for bad paths."""
        return checking.check(paths, variables, classification)

    def variables(self, given: Mapping[str, str]) -> Variables:
        """Return the stock variables with `given` over them; raises `ValueError` for a value that is no group.

        A name that the stock port groups have, or that ends with `PORTS` or `PORT`, is a port group; any other is of addresses.
        """
        port_names = {name for name in given if name in PORT_GROUPS or name.endswith(("PORTS", "PORT"))}
        found = Variables(
            {name: value for name, value in given.items() if name not in port_names},
            {name: value for name, value in given.items() if name in port_names},
        )
        for name, value in given.items():
            try:
                if name in port_names:
                    ports(value, found.ports)
                else:
                    addresses(value, found.addresses)
            except Refused as refused:
                raise ValueError(f"${name}: {refused}") from None
        return found

    def read(self, file: BinaryIO, rules: list[Rule], **options: bool) -> "Reading":
        """Return a capture on its way through the sensor; raises `Malformed` for what is no capture. The parts are loaded only here."""
        from collectors.traffic.reading import Reading, ReadOptions

        return Reading(file, rules, ReadOptions(**options))

    def eve(self, alert: "Alert") -> bytes:
        """Return an alert as a line of EVE JSON."""
        from collectors.traffic.output.eve import line

        return line(alert)
