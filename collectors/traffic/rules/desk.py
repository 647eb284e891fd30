"""What commands need of the rules, by way of the composition root: checking files, and the variables that rules name."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from collectors.traffic.rules import checking
from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.groups import addresses, ports
from collectors.traffic.rules.language.rule import Rule
from collectors.traffic.rules.language.ruleset import Ruleset
from collectors.traffic.rules.language.variables import PORT_GROUPS, Variables

if TYPE_CHECKING:
    from collectors.traffic.detectors.finding import Finding
    from collectors.traffic.reading import Reading
    from collectors.traffic.rules.engine.verdicts import Alert
    from collectors.traffic.rules.language.threshold_config import ThresholdConfig


class RulesDesk:
    """Stateless; see `agent/wiring.py`."""

    def check(
        self,
        paths: Iterable[Path],
        variables: Variables,
        classification: Path | None,
        categories: Path | None = None,
        reputation: Iterable[Path] = (),
    ) -> Ruleset:
        """Return what loads and what does not; raises `OSError` and `ValueError` for bad paths."""
        return checking.check(paths, variables, classification, categories, reputation)

    def thresholds(self, path: Path, variables: Variables, rules: Iterable[Rule]) -> "ThresholdConfig":
        """Return a threshold.config, its thresholds given to the rules; raises `OSError`, and `ValueError` for a line that says nothing."""
        from collectors.traffic.rules.language.threshold_config import read

        config = read(path.read_bytes(), variables.addresses)
        for line, reason in config.refused:
            raise ValueError(f"{path}:{line}: {reason}")
        config.apply(rules)
        return config

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

    def read(
        self,
        file: BinaryIO,
        rules: list[Rule],
        config: "ThresholdConfig | None" = None,
        home: tuple[str, ...] = (),
        **options: bool,
    ) -> "Reading":
        """Return a capture on its way through the sensor; raises `Malformed` for what is no capture. The parts are loaded only here."""
        from collectors.traffic.reading import Reading, ReadOptions

        return Reading(file, rules, ReadOptions(home=home, **options), config)

    def unsealed(self, content: bytes, secret: bytes | None, name: str) -> bytes:
        """Return evidence as it was captured; raises `ValueError` for sealed evidence without the secret it was sealed with."""
        from collectors.traffic.output import sealing

        if not sealing.sealed(content):
            return content
        if secret is None:
            raise ValueError(f"{name} is sealed: give the secret it was sealed with")
        return sealing.unseal(content, secret, name)

    def dissect(self, capture: bytes, full: bool) -> Iterator[str]:
        """Yield what lies in a capture as lines of text; raises `ValueError` for what is no capture."""
        from collectors.traffic.output.dissection import dissect

        return dissect(capture, full)

    def eve(self, one: "Alert | Finding") -> bytes:
        """Return an alert, or what a detector found, as a line of EVE JSON."""
        from collectors.traffic.detectors.finding import Finding
        from collectors.traffic.output import eve, eve_findings

        return eve_findings.line(one) if isinstance(one, Finding) else eve.line(one)

    def words(self, one: "Alert | Finding") -> str:
        """Return what a detector found as a line for people, "" for an alert."""
        from collectors.traffic.detectors.finding import Finding
        from collectors.traffic.output import eve_findings

        return eve_findings.words(one) if isinstance(one, Finding) else ""
