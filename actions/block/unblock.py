"""Lifts a ban everywhere at once, and keeps rules and lists from banning the same again for a while."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta
from msgspec.structs import replace

from actions.block import elements, kinds
from actions.block.address import Network, canonical, inside, parse
from actions.block.block import MAX_SECONDS, iso
from actions.block.elements import overlapping, parts
from actions.block.memory import of
from actions.block.saved import Entry, Saved, pruned
from contracts.action import Command, Progress, Result
from contracts.blocking import BANNED, LIMITED, LISTED, UNBANNED
from contracts.errors import UsageError
from contracts.event import Kind
from contracts.host import Host, ReadOnlyHost
from contracts.options import ActionOptions, Duration

_WORDS = {BANNED: "ban", LIMITED: "limit", LISTED: "blocklist"}


class Options(ActionOptions):
    """Settings of the unblock action."""

    sticks: Annotated[
        Duration,
        Meta(
            description="For so long neither rules nor lists block what a person has unbanned.",
            ge=0.0,
            le=365 * 86400.0,
        ),
    ] = 3600.0


class Unblock:
    """Lifts the ban of an address or network."""

    name: ClassVar[str] = "unblock"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.LIFTED,)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {"address": "str", "seconds": "float", "reason": "str"}
    """`seconds`: how long it sticks, in place of the setting."""

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Take it out of every set, and let it pass what a wider ban or a list would still refuse."""
        network = parse(str(command.arguments.get("address") or ""))
        seconds = command.arguments.get("seconds", self._options.sticks)
        if not isinstance(seconds, int | float) or not 0 <= seconds <= MAX_SECONDS:
            raise UsageError(f"seconds is {seconds!r}", advice=f"give a number from 0 to {MAX_SECONDS}")
        memory = of(host)
        with memory.lock:
            now_ms = int(host.now().timestamp() * 1000)
            saved = pruned(memory.saved(host), now_ms, 365 * 86400_000)
            lifted, wider = _held(host, network)
            name, who = canonical(network), command.who or "rule"
            entry = Entry(
                since_ms=now_ms,
                until_ms=now_ms + round(seconds * 1000),
                who=who,
                reason=str(command.arguments.get("reason") or ""),
                cause=command.cause,
            )
            if seconds:
                elements.place(host, saved, UNBANNED, network, entry, now_ms)
            for what, gone in lifted.items():
                elements.remove(host, what, gone)
            if not host.dry or lifted or wider:
                memory.save(host, _after(saved, lifted, name, entry if seconds else None))
        unsaved = memory.unsaved(host)
        told = _told(name, entry, seconds, lifted, wider)
        return replace(told, summary="; but ".join([told.summary, *unsaved]))


def _held(host: ReadOnlyHost, network: Network) -> tuple[dict[str, list[Network]], list[str]]:
    """Return what of each set lies in `network`, and what wider holds it."""
    lifted: dict[str, list[Network]] = {}
    wider: list[str] = []
    for what in (BANNED, LIMITED, LISTED):
        for one in overlapping(host, what, network):
            for part in parts(one):
                if what != LISTED and inside(part, network):
                    lifted.setdefault(what, []).append(part)
                elif inside(network, part):
                    wider.append(f"{_WORDS[what]} of {canonical(part)}")
    return lifted, wider


def _after(saved: Saved, lifted: Mapping[str, list[Network]], name: str, entry: Entry | None) -> Saved:
    gone = [canonical(one) for each in lifted.values() for one in each]
    unbanned = {**saved.unbanned, name: entry} if entry is not None else saved.unbanned
    return replace(
        saved,
        bans=elements.without(saved.bans, gone),
        limited=elements.without(saved.limited, gone),
        unbanned=unbanned,
        offences={network: one for network, one in saved.offences.items() if network not in gone},
    )


def _told(name: str, entry: Entry, seconds: float, lifted: Mapping[str, list[Network]], wider: list[str]) -> Result:
    gone = [f"{_WORDS[what]} of {canonical(one)}" for what, each in lifted.items() for one in each]
    until = iso(entry.until_ms) if seconds else "now"
    sticks = f"; nothing but a person blocks it until {until}" if seconds else ""
    stays = f"; the {' and the '.join(wider)} goes on for the others" if wider and seconds else ""
    stays = f"; the {' and the '.join(wider)} still holds it" if wider and not seconds else stays
    summary = f"unbanned {name}{stays}{sticks}" if gone or wider else f"{name} was not banned{sticks}"
    event = kinds.LIFTED.event(
        name, network=name, who=entry.who, reason=entry.reason, cause=entry.cause, until=until, lifted=gone + wider
    )
    events = (event,) if gone or wider else ()
    return Result(
        summary=summary, events=events, answer={"network": name, "lifted": gone, "wider": wider, "until": until}
    )
