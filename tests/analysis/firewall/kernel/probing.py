"""Real probes: sends many at once between the namespaces and says which arrived, and where.

A probe of TCP is reachable when the handshake completes, one of UDP when its token arrives. What stays silent is repeated once from a
fresh source port before it is called blocked.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.firewall.probe import Probe
from tests.analysis.firewall.kernel.topology import PORTS, World

BANDS = ((1024, 9999), (10000, 29999), (30000, 49999), (50000, 65000))
"""Where source ports come from; rules tell only the ranges apart, so that a repetition meets the same rules."""

FIRST_WAIT_S = 0.03
SECOND_WAIT_S = 0.08


@dataclass(frozen=True)
class Shot:
    """A probe and the namespace that sends it; `band` is where its source port is from."""

    sender: str
    probe: Probe
    band: int = 2


@dataclass(frozen=True)
class Outcome:
    """What became of a shot. `place` is the namespace it arrived in, by `address` and `port`; "" where nobody heard it."""

    reachable: bool
    place: str = ""
    address: str = ""
    port: int = 0
    detail: str = ""


class Prober:
    """Sends shots in a world; source ports are never the same twice within some thousand rounds."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.next = [low for low, _ in BANDS]
        self.count = 0

    def port(self, band: int) -> int:
        """Return a fresh source port of `band`."""
        low, high = BANDS[band]
        given = self.next[band]
        while given in PORTS:
            given += 1
        self.next[band] = low if given >= high else given + 1
        return given

    def aim(self, shots: Iterable[Shot]) -> list[Shot]:
        """Give every shot a fresh source port."""
        return [replace(shot, probe=_with_port(shot.probe, self.port(shot.band))) for shot in shots]

    def fire(self, shots: Sequence[Shot], wait_s: float = FIRST_WAIT_S) -> list[Outcome]:
        """Send `shots` (already aimed) once, all at the same time, and say what became of each within `wait_s`."""
        tokens = [f"hf{self.count + index}" for index in range(len(shots))]
        self.count += len(shots)
        senders = self._send(shots, tokens)
        results: dict[str, str] = {}
        for name in senders:
            self.world.neighbours[name].tell(do="outcomes", seconds=wait_s)
        for name in senders:
            results |= self.world.neighbours[name].answer()
        return self._judge(shots, tokens, results)

    def fire_twice(self, shots: Sequence[Shot], wait_s: float = SECOND_WAIT_S) -> tuple[list[Shot], list[Outcome]]:
        """Send `shots`, and the silent ones again from fresh ports; returns the shots as they were sent last and what became of them."""
        last, outcomes = self.aim(shots), []
        outcomes = self.fire(last)
        silent = [index for index, outcome in enumerate(outcomes) if not outcome.reachable]
        if silent:
            self.world.loader.ask(do="forget")
            again = self.aim([last[index] for index in silent])
            for index, shot, outcome in zip(silent, again, self.fire(again, wait_s), strict=True):
                last[index], outcomes[index] = shot, outcome
        return last, outcomes

    def _send(self, shots: Sequence[Shot], tokens: Sequence[str]) -> list[str]:
        orders: dict[str, list[dict[str, object]]] = {}
        for shot, token in zip(shots, tokens, strict=True):
            probe = shot.probe
            order = {
                "token": token,
                "family": probe.family,
                "protocol": probe.protocol,
                "source": probe.source,
                "source_port": probe.source_port,
                "destination": probe.destination,
                "port": probe.port,
            }
            orders.setdefault(shot.sender, []).append(order)
        for name, probes in orders.items():
            self.world.neighbours[name].tell(do="send", probes=probes)
        for name in orders:
            self.world.neighbours[name].answer()
        return list(orders)

    def _judge(self, shots: Sequence[Shot], tokens: Sequence[str], results: dict[str, str]) -> list[Outcome]:
        for helper in self.world.neighbours.values():
            helper.tell(do="heard")
        by_token, by_port = {}, {}
        for name, helper in self.world.neighbours.items():
            for heard in helper.answer():
                where = (name, heard["address"], heard["port"])
                if heard["protocol"] == "udp":
                    by_token[heard["token"]] = where
                else:
                    by_port[heard["peer"]] = where
        outcomes = []
        for shot, token in zip(shots, tokens, strict=True):
            tcp = shot.probe.protocol == "tcp"
            where = by_port.get(shot.probe.source_port) if tcp else by_token.get(token)
            reachable = results.get(token) == "connected" if tcp else where is not None
            outcomes.append(Outcome(reachable, *(where or ("", "", 0)), detail=results.get(token, "silent")))
        return outcomes


def _with_port(probe: Probe, port: int) -> Probe:
    return Probe(
        family=probe.family,
        protocol=probe.protocol,
        source=probe.source,
        destination=probe.destination,
        port=probe.port,
        interface=probe.interface,
        source_port=port,
    )
