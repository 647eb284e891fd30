"""Loads our table again from what was saved: after somebody flushed the firewall, and when the agent starts."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace

from actions.block import kinds, loaded
from actions.block.memory import of
from contracts.action import Command, Progress, Result
from contracts.event import Kind
from contracts.host import Host
from contracts.options import ActionOptions


class Reblock:
    """Brings back the bans."""

    name: ClassVar[str] = "reblock"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.RESTORED,)
    options: ClassVar[type[ActionOptions]] = ActionOptions
    arguments: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: ActionOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Load the table unless it stands as it should or nothing needs one; raises `Unavailable`, `NotLoaded`."""
        memory = of(host)
        with memory.lock:
            now_ms = int(host.now().timestamp() * 1000)
            saved = memory.saved(host)
            if not saved.begun_ms:
                memory.save(host, replace(saved, begun_ms=now_ms))
            mended = loaded.mend(host, memory, now_ms, needs_table=False)
        if not mended.wrong:
            memory.flush(host)  # nothing was changed that would have to be told
        unsaved = memory.unsaved(host)
        memory.interlocks.refresh(host)  # so that the first ban does not wait for it
        if not mended.wrong:
            return Result(summary="the table of bans is as it should be" if command.who else "")
        detail = "; but ".join([f"missing were: {', '.join(mended.wrong)}", *unsaved])
        event = kinds.RESTORED.event("table", bans=mended.bans, allowed=mended.allowed, detail=detail)
        return Result(summary=f"loaded {mended.bans} bans again ({detail})", events=(event,))
