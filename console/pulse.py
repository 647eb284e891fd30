"""The console's own heartbeat: every second it works out which agent has become late, down or up, and says so."""

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from console.hub import Change, Hub, Topic
from console.liveness import Vitals, period_s, state, summarise
from console.store.records import Agent, State
from contracts.wire import Heartbeat


class Pulse:
    """The vitals of every agent in memory and the state each was last said to be in."""

    def __init__(self, hub: Hub, grace_s: float, now_ms: Callable[[], int]) -> None:
        self._hub = hub
        self._grace_s = grace_s
        self._now_ms = now_ms
        self._vitals: dict[str, Vitals] = {}
        self._states: dict[str, State] = {}

    def load(self, fleet: Iterable[Agent]) -> None:
        """Begin with what is stored; agents that are known already keep what was heard since."""
        for agent in fleet:
            self._vitals.setdefault(
                agent.id,
                Vitals(
                    heartbeat_ms=agent.heartbeat_ms,
                    every_s=agent.every_s,
                    revoked_ms=agent.revoked_ms,
                    duplicate_ms=agent.duplicate_ms,
                    sights=agent.sights,
                ),
            )
            self._states.setdefault(agent.id, agent.state)

    def heard(self, agent: str, beat: Heartbeat, at_ms: int) -> None:
        """Note a heartbeat."""
        before = self._vitals.get(agent, Vitals())
        self._vitals[agent] = msgspec.structs.replace(
            before, heartbeat_ms=at_ms, every_s=period_s(beat.every_s), sights=summarise(beat)
        )

    def duplicate(self, agent: str, at_ms: int) -> None:
        """Note that two agents use this identity."""
        self._vitals[agent] = msgspec.structs.replace(self._vitals.get(agent, Vitals()), duplicate_ms=at_ms)

    def revoked(self, agent: str) -> None:
        """Note that an agent is let in no more."""
        before = self._vitals.get(agent, Vitals())
        self._vitals[agent] = msgspec.structs.replace(before, revoked_ms=self._now_ms())

    def tick(self) -> None:
        """Publish every state that has changed since the last tick."""
        now = self._now_ms()
        for agent, vitals in self._vitals.items():
            current = state(vitals, now, self._grace_s)
            if current is not self._states.get(agent):
                self._states[agent] = current
                self._hub.publish(Change(topic=Topic.AGENT, agent=agent, state=current.value, at_ms=now))

    def counts(self) -> dict[State, int]:
        """Return how many agents are in each state, by the last tick."""
        counted = Counter(self._states.values())
        return {one: counted.get(one, 0) for one in State}
