"""Our table `inet holdfast_block`: its text, and loading it in one transaction.

Sources are looked up at input and forward, before anybody else's chains there (priority -250): translated destinations are covered, too,
because translation changes where a packet goes, not whence it came. What is allowed or unbanned our chains leave alone. The late chains,
behind everybody else's, count what of a banned source got there: leaks. An `accept` in another table cannot shadow a ban, since it ends
that table's chain only; what can is a rule of somebody else in ours, and what carries packets past the hooks.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

from actions.block.saved import Entry, Saved
from contracts.blocking import ALLOWED, BANNED, LEAKED, LIMITED, LISTED, TABLE, UNBANNED, Note, encode, set_name
from contracts.errors import HoldfastError
from contracts.host import Host

EARLY, LATE = -250, 2147483640
BASE_CHAINS = {
    "input": ("input", EARLY),
    "forward": ("forward", EARLY),
    "late_input": ("input", LATE),
    "late_forward": ("forward", LATE),
}
MARK = "holdfast"
"""Begins the comment of every rule of ours; a rule without it is somebody else's."""
_PER_LINE = 2000


class NotLoaded(HoldfastError):
    """nft did not take the table."""

    permanent = False


def rules(reject: bool = False, limit: int = 10) -> dict[str, list[str]]:
    """Return the rules of each chain, without their comments."""
    judged: list[str] = []
    spared: list[str] = []
    leaks: list[str] = []
    for version, field in ((4, "ip saddr"), (6, "ip6 saddr")):
        for what in (ALLOWED, UNBANNED):
            judged.append(f"{field} @{what}{version} accept")
            spared.append(f"{field} @{what}{version} return")
        leaks.append(f"{field} @{BANNED}{version} update @{LEAKED}{version} {{ {field} counter }}")
    verdict = "reject" if reject else "drop"
    for version, field in ((4, "ip saddr"), (6, "ip6 saddr")):
        judged.append(f"{field} @{BANNED}{version} {verdict}")
        judged.append(f"{field} @{LISTED}{version} counter {verdict}")
        meter = f"update @metered{version} {{ {field} limit rate over {limit}/second burst {2 * limit} packets }}"
        judged.append(f"{field} @{LIMITED}{version} {meter} drop")
    return {
        "sources": judged,
        "leaks": spared + leaks,
        **{name: ["jump sources"] for name in ("input", "forward")},
        **{name: ["jump leaks"] for name in ("late_input", "late_forward")},
    }


def render(saved: Saved) -> str:
    """Return the whole table without elements, for a transaction in which it is not there."""
    return "\n".join([f"table inet {TABLE} {{", *_sets(), *_chains(rules(saved.reject, saved.limit)), "}", ""])


def script(saved: Saved, now_ms: int, listed: Iterable[str] = ()) -> str:
    """Return the transaction that replaces the table, whatever is there, by one with everything saved and the lines of `listed`."""
    lines = [f"add table inet {TABLE}", f"delete table inet {TABLE}", render(saved)]
    for what, entries in (
        (BANNED, saved.bans),
        (LIMITED, saved.limited),
        (UNBANNED, saved.unbanned),
        (ALLOWED, saved.allowed),
    ):
        lines += elements(what, entries, now_ms)
    return "\n".join([*lines, *listed, ""])


def elements(what: str, entries: Mapping[str, Entry], now_ms: int) -> Iterator[str]:
    """Yield the commands that add what of `entries` still holds, without those inside of another."""
    for version in (4, 6):
        words = [
            element(network, entry, now_ms) for network, entry in _outermost(entries, version) if entry.lasts(now_ms)
        ]
        for start in range(0, len(words), _PER_LINE):
            name = set_name(what, version)
            yield f"add element inet {TABLE} {name} {{ {', '.join(words[start : start + _PER_LINE])} }}"


def element(network: str, entry: Entry, now_ms: int) -> str:
    """Return one element in nft's words."""
    timeout = f" timeout {span(entry.left_ms(now_ms))}" if entry.until_ms else ""
    return f'{network}{timeout} comment "{encode(note(entry))}"'


def span(milliseconds: int) -> str:
    """Return a time as nft takes it; no number in it may grow beyond 32 bits."""
    seconds, rest = divmod(milliseconds, 1000)
    days, seconds = divmod(seconds, 86400)
    return "".join(f"{count}{unit}" for count, unit in ((days, "d"), (seconds, "s"), (rest, "ms")) if count)


def note(entry: Entry) -> Note:
    """Return what the element's comment says; of an allowed one the owner stands for who."""
    return Note(who=entry.owner or entry.who, since_ms=entry.since_ms, cause=entry.cause, reason=entry.reason)


def load(host: Host, text: str) -> None:
    """Have nft carry out `text` as one transaction; raises `NotLoaded`, `Unavailable`."""
    done = host.change("nft", "-f", "-", stdin=text.encode())
    if done.code:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotLoaded(
            f"nft does not take the table of bans: {said[0][:300] if said else f'exit code {done.code}'}",
            advice="check with `nft --version` that it is 0.9.5 or newer, and look at `nft list table inet holdfast_block`",
        )


def _sets() -> Iterator[str]:
    for version in (4, 6):
        kind = f"type ipv{version}_addr"
        for what in (BANNED, LIMITED):
            yield f"\tset {set_name(what, version)} {{ {kind}; flags interval, timeout; counter; }}"
        for what in (ALLOWED, UNBANNED):
            yield f"\tset {set_name(what, version)} {{ {kind}; flags interval, timeout; }}"
        yield f"\tset {set_name(LISTED, version)} {{ {kind}; flags interval; }}"
        yield f"\tset metered{version} {{ {kind}; size 65535; flags dynamic, timeout; timeout 1m; }}"
        yield f"\tset {set_name(LEAKED, version)} {{ {kind}; size 65535; flags dynamic, timeout; timeout 1h; }}"


def _chains(wanted: Mapping[str, list[str]]) -> Iterator[str]:
    for name, lines in wanted.items():
        yield f"\tchain {name} {{"
        if name in BASE_CHAINS:
            hook, priority = BASE_CHAINS[name]
            yield f"\t\ttype filter hook {hook} priority {priority}; policy accept;"
        for number, line in enumerate(lines):
            yield f'\t\t{line} comment "{MARK} {name} {number}"'
        yield "\t}"


def _outermost(entries: Mapping[str, Entry], version: int) -> Iterator[tuple[str, Entry]]:
    """Yield the entries of one version that lie in no other: nft refuses overlapping elements."""
    own = [(ipaddress.ip_network(network), network) for network in entries if (":" in network) == (version == 6)]
    end = -1
    for parsed, network in sorted(own, key=lambda one: (int(one[0].network_address), one[0].prefixlen)):
        if int(parsed.broadcast_address) > end:
            end = int(parsed.broadcast_address)
            yield network, entries[network]
