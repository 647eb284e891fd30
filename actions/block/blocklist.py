"""Loads the configured blocklists into the kernel: by difference, in one transaction, and never half."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Meta

from actions.block import blocklists, kinds, loaded, table
from actions.block.address import check_never
from actions.block.blocklists import Intervals, ListRefused
from actions.block.interlocks import ALWAYS
from actions.block.memory import Memory, of
from actions.block.saved import Saved
from contracts.action import Command, Progress, Result
from contracts.blocking import LISTED, TABLE, set_name
from contracts.errors import Unavailable, UsageError
from contracts.event import Event, Kind, Value
from contracts.host import Host
from contracts.netfilter import NoSuchSet
from contracts.options import ActionOptions, Size
from contracts.outcome import Failed, Ok, Outcome

_SHOWN = 20


class Options(ActionOptions):
    """Settings of the blocklist action."""

    lists: Annotated[
        dict[str, str],
        Meta(
            description="Blocklists by name: files with an address or network per line (plain, CIDR, Spamhaus DROP as text or JSON lines).",
            examples=[{"drop": "/etc/holdfast/lists/drop.txt"}],
        ),
    ] = {}
    max_networks: Annotated[int, Meta(description="A list with more networks is refused.", ge=1, le=2_000_000)] = (
        500_000
    )
    max_bytes: Annotated[Size, Meta(description="A longer file is refused.", ge=1 << 10)] = 64 << 20
    never: Annotated[
        dict[str, str],
        Meta(
            description="Addresses or networks that no list blocks, with the reason; those of actions.block.never count, too."
        ),
    ] = {}
    widest4: Annotated[int, Meta(description="A list with a wider IPv4 network is refused.", ge=1, le=32)] = 8
    widest6: Annotated[int, Meta(description="A list with a wider IPv6 network is refused.", ge=1, le=128)] = 16

    def __post_init__(self) -> None:
        check_never(self.never)


class Blocklist:
    """Loads all lists."""

    name: ClassVar[str] = "blocklist"
    kinds: ClassVar[tuple[Kind, ...]] = (kinds.LIST_LOADED, kinds.LIST_REFUSED)
    options: ClassVar[type[Options]] = Options
    arguments: ClassVar[Mapping[str, str]] = {}

    def __init__(self, options: Options) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:
        """Read every list, leave out what this host needs, and bring the kernel's sets to what remains."""
        started = host.monotonic()
        memory = of(host)
        if not self._options.lists and not _is_any_left(host, memory):
            if command.who:
                raise UsageError("no blocklist is configured", advice="name files under actions.blocklist.lists")
            return Result()
        found, refused = self._read(host, memory, progress)
        with memory.lock:
            saved = memory.saved(host)
            wanted, skipped = blocklists.without(
                blocklists.joined(found.values()), self._protected(host, memory, saved)
            )
            gone, come = _load(host, memory, saved, wanted)
        events = [*refused]
        counts = {name: sum(map(len, each.values())) for name, each in found.items()}
        total = sum(map(len, wanted.values()))
        if come or gone or (command.who and not refused):
            events.append(
                kinds.LIST_LOADED.event(
                    "lists",
                    networks=total,
                    added=come,
                    removed=gone,
                    lists=[f"{name}: {count}" for name, count in counts.items()],
                    skipped=[self._told(one) for one in skipped[:_SHOWN]],
                    milliseconds=round((host.monotonic() - started) * 1000, 1),
                )
            )
        summary = f"blocklists hold {total} networks: {come} added, {gone} removed, {len(skipped)} left out because this host needs them"
        outcome: Outcome = Ok()
        if refused:
            detail = "; ".join(f"{event.fields['name']}: {event.fields['detail']}" for event in refused)
            outcome = Failed(error=detail[:500], permanent=True)
        answer: dict[str, Value] = {
            "networks": total,
            "added": come,
            "removed": gone,
            "skipped": [self._told(one) for one in skipped[:_SHOWN]],
        }
        return Result(outcome=outcome, summary=summary, events=tuple(events), answer=answer)

    def _read(self, host: Host, memory: Memory, progress: Progress) -> tuple[dict[str, Intervals], list[Event]]:
        """Return what each list holds; of one that cannot be used what it held when it was loaded last."""
        options = self._options
        found: dict[str, Intervals] = {}
        refused: list[Event] = []
        for number, (name, path) in enumerate(options.lists.items()):
            progress(number, len(options.lists), "lists", name)
            try:
                content = host.files.read(path, options.max_bytes)
                found[name] = blocklists.parse(content, options.max_networks, {4: options.widest4, 6: options.widest6})
                _keep(host, memory, name, found[name])
            except (ListRefused, Unavailable) as error:
                refused.append(kinds.LIST_REFUSED.event(name, name=name, file=path, detail=str(error)))
                found[name] = _kept(host, memory, name)
        return found, refused

    def _protected(self, host: Host, memory: Memory, saved: Saved) -> list[tuple[int, int, int]]:
        words = [network for network, _ in ALWAYS] + list(self._options.never)
        words += [one.network for one in memory.interlocks.needs(host, saved, 0.0).protected]
        words += list(saved.allowed)
        found: list[tuple[int, int, int]] = []
        for word in words:
            network = ipaddress.ip_network(word, strict=False)
            found.append((network.version, int(network.network_address), int(network.broadcast_address)))
        return found

    def _told(self, skipped: tuple[int, tuple[int, int], tuple[int, int]]) -> str:
        version, interval, by = skipped
        return f"{blocklists.spelled(version, interval)} holds {blocklists.spelled(version, by)}"


def _is_any_left(host: Host, memory: Memory) -> bool:
    """Say whether lists that are no longer configured are still in force, or would come back."""
    try:
        found = loaded.listed_now(host)
    except NoSuchSet:
        found = {}
    return any(found.values()) or any(loaded.kept_lists(host, memory).values())


def _load(host: Host, memory: Memory, saved: Saved, wanted: Intervals) -> tuple[int, int]:
    """Bring the sets to `wanted`; returns how many intervals went and came."""
    now_ms = int(host.now().timestamp() * 1000)
    try:
        before, base = loaded.listed_now(host), ""
    except NoSuchSet:
        before, base = {}, table.script(saved, now_ms)
    gone, come = blocklists.difference(before, wanted)
    if any(before.values()):
        sets = [
            {set_name(LISTED, each): blocklists.elements(each, one[each]) for each in (4, 6)} for one in (gone, come)
        ]
        host.netfilter.change(TABLE, *sets)
    elif any(come.values()):  # nothing is to be compared: nft itself is the fastest
        lines = [line for version in (4, 6) for line in blocklists.commands(version, come[version])]
        table.load(host, base + "\n".join([*lines, ""]))
    if memory.folder and (any(gone.values()) or any(come.values()) or not any(wanted.values())):
        host.write(f"{memory.folder}/{loaded.LISTS}", blocklists.saved(wanted))
    return sum(map(len, gone.values())), sum(map(len, come.values()))


def _keep(host: Host, memory: Memory, name: str, intervals: Intervals) -> None:
    if memory.folder:
        host.write(f"{memory.folder}/{_file(name)}", blocklists.saved(intervals))


def _kept(host: Host, memory: Memory, name: str) -> Intervals:
    if not memory.folder:
        return {}
    try:
        return blocklists.restored(host.files.read(f"{memory.folder}/{_file(name)}", loaded.MAX_LISTS))
    except (Unavailable, ValueError):
        return {}  # it was never loaded: nothing of it stays in force


def _file(name: str) -> str:
    """Return the file for a list's last good content; its name may hold anything."""
    return f"list-{name.encode().hex()[:200]}"
