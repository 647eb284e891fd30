"""Small facts for what runs by itself: known at once, stored when the disk has space."""

from agent.intake import Intake
from agent.state import State


class PatientMemory:
    """Small facts for the scheduler: known at once, stored when the disk has space."""

    def __init__(self, state: State, intake: Intake) -> None:
        self._state, self._intake = state, intake
        self._fresh: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        """Return what was put under `name`."""
        return self._fresh[name] if name in self._fresh else self._state.get(name)

    def put(self, name: str, value: bytes) -> None:
        """Keep `value` under `name`."""
        self._fresh[name] = value

        def store() -> None:
            self._state.put(name, value)
            if self._fresh.get(name) == value:
                del self._fresh[name]

        self._intake.put((), store)
