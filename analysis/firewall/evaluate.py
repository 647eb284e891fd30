"""The public face of the evaluator: many probes at once against one datapath, and for each of them what becomes of it and why."""

from collections.abc import Sequence

from analysis.firewall.model import Datapath
from analysis.firewall.probe import Answer, Probe, Verdict


class Answers:
    """What became of the probes, in their order."""

    def __init__(self, verdicts: Sequence[Verdict], answers: Sequence[Answer]) -> None:
        self._verdicts = tuple(verdicts)
        self._answers = tuple(answers)

    def __len__(self) -> int:
        return len(self._verdicts)

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return one verdict per probe."""
        return self._verdicts

    def answer(self, number: int) -> Answer:
        """Return verdict, causes, steps and what is unknown for the probe of that number (made on demand)."""
        return self._answers[number]


def evaluate(datapath: Datapath, probes: Sequence[Probe]) -> Answers:
    """Follow all `probes` through `datapath`; a probe whose addresses do not parse raises `contracts.errors.UsageError`."""
    unknown = tuple(Answer(verdict=Verdict.UNCERTAIN, unknown=("the evaluator is being built",)) for _ in probes)
    return Answers([Verdict.UNCERTAIN] * len(probes) if datapath else [], unknown)
