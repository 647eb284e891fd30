"""Where detectors say what they found: sources that are banned already and repeats are held back, and counted; proxies are called so."""

from collections.abc import Iterable
from dataclasses import dataclass

from msgspec.structs import replace

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.kinds import OF_REQUESTS
from collectors.traffic.detectors.mixer import Mixer
from collectors.traffic.detectors.prefixes import Prefixes
from collectors.traffic.detectors.proxies import Proxies

REMEMBERED = 16_384
"""Findings that are remembered, so that they are not told again at once."""


@dataclass(slots=True)
class VoiceCounts:
    """What was found since the start, and what of it was held back."""

    told: int = 0
    repeated: int = 0
    banned: int = 0
    forgotten: int = 0


class Voice:
    """Takes findings; `take` hands them on. `home` are our networks, `banned` those whose senders are not spoken of again."""

    def __init__(self, home: Iterable[str], again_s: float) -> None:
        self.home = Prefixes(home)
        self.banned = Prefixes()
        self.proxies = Proxies()
        self.counts = VoiceCounts()
        self.mixer = Mixer()
        self.interface = 0
        """Where the block that is looked at comes from."""
        self.again_ns = int(again_s * 1e9)
        self._told: dict[tuple[str, ...], int] = {}
        self._found: list[Finding] = []

    def say(self, finding: Finding, again_s: float | None = None) -> bool:
        """Take a finding; returns whether it is told now. `again_s` is the time before an equal one is told again."""
        if finding.sender and self.banned and self.banned.has(finding.sender):
            self.counts.banned += 1
            return False
        if finding.kind.name in OF_REQUESTS and self.proxies.has(finding.sender, finding.port, self.home):
            finding = finding.passed_on()
        key = (finding.kind.name, finding.key, "" if finding.forgeable else finding.subject)
        before = self._told.get(key)
        again_ns = self.again_ns if again_s is None else int(again_s * 1e9)
        if before is not None and finding.last_ns - before < again_ns:
            self.counts.repeated += 1
            return False
        self._told.pop(key, None)
        if len(self._told) >= REMEMBERED:
            self._told.pop(next(iter(self._told)))
            self.counts.forgotten += 1
        self._told[key] = finding.last_ns
        self._found.append(finding if finding.interface >= 0 else replace(finding, interface=self.interface))
        self.counts.told += 1
        return True

    def take(self) -> list[Finding]:
        """Return what was said since the last time."""
        found, self._found = self._found, []
        return found
