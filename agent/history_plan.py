"""When versions of configuration are kept without anything having changed, read off the settings: pure, for the child that plans."""

from typing import Any

from agent.backup_plan import delayed
from agent.timed import Timed


def history_plan(options: Any, machine_id: str) -> dict[str, Timed]:
    """The deed of the `history` section with a time of day: it finds what nothing told."""
    if options is None or not options.enabled:
        return {}
    at = delayed(options.at, options.splay, f"{machine_id}/history")
    return {"history": Timed(action="history_keep", arguments={"why": "once a day"}, at=at, retries=1)}
