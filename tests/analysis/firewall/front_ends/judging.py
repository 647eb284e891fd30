"""Asks the evaluator and the kernel the same about the ruleset that stands in the world's host, and holds both against each other."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from analysis.firewall.evaluate import evaluate
from analysis.firewall.model import Datapath
from analysis.firewall.probe import Answer, Probe, Verdict
from analysis.firewall.reading import read
from contracts.subjects.datapath import Row
from tests.analysis.firewall.kernel.probing import Outcome, Prober, Shot
from tests.analysis.firewall.kernel.topology import ADDRESSES, INTERFACES, PORTS, SWITCHES, World

RATE_LIMIT = re.compile(r"\b(limit|recent|hashlimit|connlimit)\b")


@dataclass(frozen=True)
class Judged:
    """A probe, what the evaluator says of it, and what the kernel made of it."""

    shot: Shot
    answer: Answer
    outcome: Outcome

    def __str__(self) -> str:
        probe, answer = self.shot.probe, self.answer
        way = "\n".join(f"    {step.hook} {step.chain}: {step.text}" for step in answer.steps)
        return (
            f"{self.shot.sender} {probe.source} -> {probe.destination} {probe.protocol} {probe.port}: predicted {answer.verdict} "
            f"{answer.destination} {answer.port}, the kernel: {self.outcome}\n    unknown: {answer.unknown}\n"
            f"    causes: {[f'{cause.what} {cause.chain}: {cause.text}' for cause in answer.causes]}\n{way}"
        )


def agrees(answer: Answer, outcome: Outcome) -> bool:
    """Say whether the kernel did what was predicted: the verdict, and where the packet was heard, if it was."""
    if (answer.verdict is Verdict.REACHABLE) is not outcome.reachable:
        return False
    if not (outcome.reachable and outcome.place and answer.destination):
        return True
    return (outcome.address, outcome.port) == (answer.destination, answer.port)


def moot(shot: Shot, answer: Answer) -> bool:
    """Say whether a packet is sent back to the namespace it came from: what that one makes of it is not this host's doing."""
    own = ADDRESSES[shot.sender][shot.probe.family]
    return shot.sender != "host" and answer.destination in own


class Bench:
    """A world whose host has some ruleset; `judge` asks both sides about probes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.prober = Prober(world)

    def load(
        self, *restores: tuple[str, str], nft: str = "", ipset: str = "", switches: Mapping[str, str] | None = None
    ) -> None:
        """Replace everything in the host by this: what each tool restores, a program of nft, ipsets and switches by their names."""
        order = {"ipset": ipset, "nft": nft, "restores": restores, "routing": []}
        answer = self.world.loader.ask(do="load", switches={**SWITCHES, **(switches or {})}, **order)
        assert not answer, answer["refused"]

    def rows(self) -> dict[str, Row]:
        """Look with the product's own collector, which must be blind in nothing.

        Programs of cgroups are the whole machine's (its services, containers of other tests); no listener of this world is in one of them.
        """
        answer = self.world.loader.ask(do="rows")
        assert not answer["blind"], answer["blind"]
        rows = msgspec.convert(answer["rows"], dict[str, Row])
        return {key: row for key, row in rows.items() if not key.startswith("program cgroup ")}

    def judge(self, shots: Sequence[Shot], datapath: Datapath | None = None) -> "Picture":
        """Ask evaluator and kernel about `shots`."""
        found = read(self.rows()) if datapath is None else datapath
        last, outcomes = self.prober.fire_twice(shots)
        answers = evaluate(found, [shot.probe for shot in last])
        judged = [
            Judged(shot, answers.answer(number), outcome)
            for number, (shot, outcome) in enumerate(zip(last, outcomes, strict=True))
        ]
        return Picture(self, judged)

    def still_differs(self, one: Judged) -> bool:
        """Send a probe again, alone and with patience; say whether prediction and kernel still differ."""
        self.world.loader.ask(do="forget")
        (aimed,) = self.prober.aim([one.shot])
        (outcome,) = self.prober.fire([aimed], 0.6)
        return not agrees(one.answer, outcome)


@dataclass(frozen=True)
class Picture:
    """What became of many probes."""

    bench: Bench
    judged: list[Judged]

    @cached_property
    def decided(self) -> list[Judged]:
        """Return those that are decided."""
        return [one for one in self.judged if one.answer.verdict is not Verdict.UNCERTAIN]

    def of(self, sender: str, protocol: str, port: int, family: int = 4, destination: str = "") -> Verdict:
        """Return the one verdict on such a probe."""
        found = {
            one.answer.verdict
            for one in self.judged
            if (one.shot.sender, one.shot.probe.protocol, one.shot.probe.port) == (sender, protocol, port)
            and one.shot.probe.family == family
            and destination in ("", one.shot.probe.destination)
        }
        (verdict,) = found
        return verdict

    def assert_agreed(self) -> None:
        """Fail where the kernel did otherwise than was predicted, or where there was nothing to compare."""
        differing = [
            one for one in self.decided if not moot(one.shot, one.answer) and not agrees(one.answer, one.outcome)
        ]
        wrong = [one for one in differing if self.bench.still_differs(one)]
        assert not wrong, f"{len(wrong)} of {len(self.decided)} differ:\n" + "\n".join(map(str, wrong[:4]))
        assert self.decided

    def assert_only_rate_limits_are_uncertain(self) -> None:
        """Fail where anything is uncertain for another reason than a rate limit."""
        other = [
            one
            for one in self.judged
            if one.answer.verdict is Verdict.UNCERTAIN
            and (not one.answer.unknown or not all(map(RATE_LIMIT.search, one.answer.unknown)))
        ]
        assert not other, f"{len(other)} are uncertain:\n" + "\n".join(map(str, other[:4]))


def shots(
    senders: Iterable[str] = ("internet", "lan", "container", "host"),
    ports: Iterable[int] = PORTS,
    destinations: Iterable[str] = (),
    sources: Iterable[str] = (),
) -> list[Shot]:
    """Return probes of both protocols and families: by default to the address of the host that is nearest to the sender."""
    found = []
    for sender in senders:
        for family in (4, 6):
            for source in _chosen(sources or ADDRESSES[sender][family][:1], family):
                for destination in _chosen(destinations or [_nearest(sender, family)], family):
                    found += [_shot(sender, family, source, destination, *what) for what in _what(ports)]
    return found


def _chosen(addresses: Iterable[str], family: int) -> list[str]:
    return [address for address in addresses if (":" in address) == (family == 6)]


def _what(ports: Iterable[int]) -> list[tuple[str, int]]:
    return [(protocol, port) for port in ports for protocol in ("tcp", "udp")]


def _nearest(sender: str, family: int) -> str:
    own = ADDRESSES["host"][family]
    return {"internet": own[0], "lan": own[2], "container": own[3], "host": own[4]}[sender]


def _shot(sender: str, family: int, source: str, destination: str, protocol: str, port: int) -> Shot:
    if sender == "host":
        source = destination
    probe = Probe(
        family=family,
        protocol=protocol,
        source=source,
        destination=destination,
        port=port,
        interface=INTERFACES[sender],
    )
    return Shot(sender, probe)
