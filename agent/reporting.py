"""The agent's side of reporting: its identity, and the reporter's thread while there is a console to report to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.clock import Clock
from agent.settings import AgentSettings
from agent.spool import Spool
from agent.state import State
from contracts.event import Event
from contracts.wire import Heartbeat


class Reporting:
    """Knows who this agent is and whether it reaches its console."""

    def __init__(self, folder: Path, settings: AgentSettings, state: State, clock: Clock) -> None:
        self.agent = "unenrolled"
        self.skew_ms: int | None = None

    def start(self, spool: Spool, heartbeat: Callable[[], Heartbeat], happened: Callable[[Event], None]) -> None:
        pass

    def wake(self) -> None:
        pass

    def stop(self, timeout_s: float) -> None:
        pass

    def use(self, settings: AgentSettings) -> None:
        pass

    def status(self) -> dict[str, Any]:
        return {"connected": False}
