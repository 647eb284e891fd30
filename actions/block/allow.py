"""The allowlist: what is never banned, with owner, reason and expiry."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec.structs import replace

from actions.block import elements, kinds
from actions.block.address import Network, canonical, inside, parse
from actions.block.block import MAX_SECONDS, iso
from actions.block.memory import of
from actions.block.saved import Entry, pruned
from contracts.action import Command, Progress, Result
from contracts.blocking import ALLOWED, BANNED, LIMITED
from contracts.errors import UsageError
from contracts.event import Kind, Value
from contracts.host import Host
from contracts.options import ActionOptions

FORGET_MS = 365 * 86400_000
WIDEST = {4: 8, 6: 16}


class Allow:
    """Puts an address or network on the allowlist."""

    name: ClassVar[str] = "allow"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.ALLOWED,)
    options: ClassVar[type[ActionOptions]] = ActionOptions
    arguments: ClassVar[Mapping[str, str]] = {"address": "str", "owner": "str", "reason": "str", "seconds": "float"}
    """`seconds` 0 or absent: until it is taken off again."""

    def __init__(self, options: ActionOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Let it pass from now on; bans of it end."""
        network = _network(command)
        owner, reason = (str(command.arguments.get(name) or "").strip() for name in ("owner", "reason"))
        for name, given in (("an owner", owner), ("a reason", reason)):
            if not given:
                raise UsageError(f"an allowed address needs {name}", advice="say who answers for it, and why")
        seconds = command.arguments.get("seconds") or 0.0
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
            raise UsageError(f"seconds is {seconds!r}", advice=f"give a number from 0 to {MAX_SECONDS}")
        memory, name = of(host), canonical(network)
        with memory.lock:
            now_ms = int(host.now().timestamp() * 1000)
            saved = pruned(memory.saved(host), now_ms, FORGET_MS)
            until_ms = now_ms + round(seconds * 1000) if seconds else 0
            entry = Entry(since_ms=now_ms, until_ms=until_ms, who=command.who or "rule", owner=owner, reason=reason)
            elements.remove(host, ALLOWED, [network])
            placed = elements.place(host, saved, ALLOWED, network, entry, now_ms)
            gone = [one for one in {**saved.bans, **saved.limited} if inside(parse(one), network)]
            for what in (BANNED, LIMITED):
                elements.remove(host, what, [parse(one) for one in gone])
            kept = elements.without(saved.allowed, placed.replaced)
            saved = replace(
                saved,
                allowed={**kept, name: entry},
                bans=elements.without(saved.bans, gone),
                limited=elements.without(saved.limited, gone),
            )
            memory.save(host, saved)
        unsaved = memory.unsaved(host)
        until = iso(until_ms) if until_ms else "it is taken off"
        event = kinds.ALLOWED.event(name, network=name, owner=owner, reason=reason, who=entry.who, until=until)
        answer: dict[str, Value] = {"network": name, "until_ms": until_ms}
        summary = "; but ".join([f"{name} is allowed until {until}", *unsaved])
        return Result(summary=summary, events=(event,), answer=answer)


class Disallow:
    """Takes an address or network off the allowlist."""

    name: ClassVar[str] = "disallow"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.DISALLOWED,)
    options: ClassVar[type[ActionOptions]] = ActionOptions
    arguments: ClassVar[Mapping[str, str]] = {"address": "str"}

    def __init__(self, options: ActionOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Let it be banned again."""
        network = parse(str(command.arguments.get("address") or ""))
        memory, name = of(host), canonical(network)
        with memory.lock:
            now_ms = int(host.now().timestamp() * 1000)
            saved = pruned(memory.saved(host), now_ms, FORGET_MS)
            gone = elements.remove(host, ALLOWED, [network])
            if name not in saved.allowed and not gone:
                known = ", ".join(sorted(saved.allowed)[:8]) or "nothing"
                raise UsageError(f"{name} is not on the allowlist", advice=f"allowed is {known}")
            memory.save(host, replace(saved, allowed=elements.without(saved.allowed, [name])))
        unsaved = memory.unsaved(host)
        event = kinds.DISALLOWED.event(name, network=name, who=command.who or "rule")
        summary = "; but ".join([f"{name} is no longer allowed", *unsaved])
        return Result(summary=summary, events=(event,), answer={"network": name})


def _network(command: Command) -> Network:
    network = parse(str(command.arguments.get("address") or ""))
    if network.prefixlen < WIDEST[network.version]:
        raise UsageError(
            f"{canonical(network)} is wider than /{WIDEST[network.version]}", advice="allow the networks that need it"
        )
    return network
