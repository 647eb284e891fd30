"""The last good ruleset: taken when somebody accepts it, loadable table by table, and what of it has been lost since.

Lost means what an attacker or an accident does to open a host: a table is gone or dormant, a base chain that had rules has none, a policy
that was drop is accept. Rules that were added, changed or taken out one by one are an admin's daily work and no loss. Tables that their
owners make and remove by themselves (bans, our own) are left to them.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile

from actions.policy.store import Good, now_ms
from actions.policy.table import words
from analysis.firewall.policy import TABLE
from contracts.errors import Unavailable, Why
from contracts.host import Completed, Host
from contracts.record import Record

IPTABLES = ("iptables-nft", "ip6tables-nft")
LEGACY = {"iptables-legacy": "/proc/net/ip_tables_names", "ip6tables-legacy": "/proc/net/ip6_tables_names"}
"""Their tools hold a lock that a worker may not take, and none replaces a table without it: what they hold is watched, not restored."""
_FAMILIES = {"iptables-nft": "ip", "ip6tables-nft": "ip6"}
_OWN = (TABLE, f"{TABLE}_block")
_FLEETING = re.compile(r"\w+ (f2b[-_].*|crowdsec.*|sshguard.*)")
_TABLE = re.compile(r"table (\w+) (.+) \{")
_CHAIN = re.compile(r"\tchain (.+) \{")
_BASE = re.compile(r"type \w+ hook .*?priority .*?;(?: policy (\w+);)?")


class Chain(Record):
    """What matters of a chain: whether it is a base chain, its policy, and how many rules it has."""

    base: bool
    policy: str
    rules: int


class Current(Record):
    """The ruleset now, in the same words as `Good`."""

    tables: dict[str, str]
    iptables: dict[str, str]


def take(host: Host, who: str) -> Good:
    """Return today's ruleset as one that can be loaded; raises `Unavailable`. What nft itself could not load again is named as unsaved."""
    now = current(host)
    unsaved = {name: "tables of legacy iptables are watched, but not restored" for name in _legacy(host)}
    for name, text in now.tables.items():
        done = host.change("nft", "-c", "-f", "-", stdin=replacing({name: text}).encode())  # -c: only checks
        if done.code != 0:
            unsaved[name] = words(done)
    tables = {name: text for name, text in now.tables.items() if name not in unsaved}
    return Good(who=who, at_ms=now_ms(host), tables=tables, iptables=now.iptables, unsaved=unsaved)


def current(host: Host) -> Current:
    """Read the ruleset; raises `Unavailable`."""
    listed = _asked(host, "nft", "-s", "list", "ruleset")
    iptables = {}
    for tool in IPTABLES:
        if host.commands.present(f"{tool}-save"):
            saved = _asked(host, f"{tool}-save").stdout.decode("utf-8", "surrogateescape")
            iptables.update({f"{tool} {name}": text for name, text in _saved_tables(saved)})
    managed = {f"{_FAMILIES[name.split()[0]]} {name.split()[1]}" for name in iptables}
    found = dict(_listed_tables(listed.stdout.decode("utf-8", "surrogateescape")))
    kept = {name: text for name, text in found.items() if name not in managed and not _is_left_alone(name)}
    return Current(tables=kept, iptables=iptables)


def _legacy(host: Host) -> Iterator[str]:
    """Yield the tables of legacy iptables that refuse or translate something."""
    for tool, names in LEGACY.items():
        try:
            known = host.files.read(names).split()
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                raise
            continue
        if not known:  # only then: asking makes the tables that are asked for
            continue
        saved = _asked(host, f"{tool}-save").stdout.decode("utf-8", "surrogateescape")
        for name, text in _saved_tables(saved):
            if any(chain.rules or chain.policy == "drop" for chain in _iptables_chains(text).values()):
                yield f"{tool} {name}"


def lost(good: Good, now: Current) -> dict[str, str]:
    """Return what of `good` has been lost: why, by the name of each table."""
    reasons = {}
    for name, text in good.tables.items():
        why = _weakness(text, now.tables.get(name), _chains(text), _chains(now.tables.get(name, "")))
        if why:
            reasons[name] = why
    for name, text in good.iptables.items():
        there = now.iptables.get(name)
        why = _weakness(text, there, _iptables_chains(text), _iptables_chains(there or ""))
        if why:
            reasons[name] = why
    return reasons


def replacing(tables: Mapping[str, str]) -> str:
    """Return the part of a transaction that puts each of `tables` in place of what it is now."""
    return "".join(f"add table {name}\ndelete table {name}\n{text}\n" for name, text in tables.items())


def load_iptables(host: Host, name: str, text: str) -> Completed:
    """Replace one table of iptables; atomic by itself."""
    tool = name.split()[0]
    return host.change(f"{tool}-restore", "-T", name.split()[1], stdin=text.encode("utf-8", "surrogateescape"))


def _weakness(good: str, now: str | None, had: Mapping[str, Chain], has: Mapping[str, Chain]) -> str:
    """Return how a table is weaker than it was, "" when it is not."""
    if now is None:
        return "is gone" if any(chain.rules or chain.policy == "drop" for chain in had.values()) else ""
    if "\n\tflags dormant" in now and "\n\tflags dormant" not in good:
        return "is dormant"
    for name, chain in had.items():
        there = has.get(name)
        if not chain.base:
            continue
        if chain.policy == "drop" and (there is None or there.policy != "drop"):
            return f"chain {name} no longer drops by default"
        if chain.rules and (there is None or not there.rules):
            return f"chain {name} has lost all its rules"
    return ""


def _listed_tables(text: str) -> Iterator[tuple[str, str]]:
    """Yield each table of `nft list ruleset` with its lines."""
    lines = iter(text.splitlines())
    for line in lines:
        head = _TABLE.fullmatch(line)
        if head is not None:
            inside = takewhile(lambda each: each != "}", lines)
            yield f"{head[1]} {head[2]}", "\n".join([line, *inside, "}"])


def _saved_tables(text: str) -> Iterator[tuple[str, str]]:
    """Yield each table of `iptables-save`, without comments."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("*"):
            inside = takewhile(lambda each: each != "COMMIT", lines)
            yield line[1:].strip(), "\n".join([line, *inside, "COMMIT"]) + "\n"


def _chains(text: str) -> dict[str, Chain]:
    """Return the chains of one listed table."""
    found, lines = {}, iter(text.splitlines())
    for line in lines:
        head = _CHAIN.fullmatch(line)
        if head is not None:
            found[head[1]] = _chain(each.strip() for each in takewhile(lambda each: each != "\t}", lines))
    return found


def _chain(lines: Iterable[str]) -> Chain:
    base, policy, rules = False, "", 0
    for line in lines:
        match = _BASE.match(line)
        if match is not None:
            base, policy = True, match[1] or "accept"
        elif line and not line.startswith("comment "):
            rules += 1
    return Chain(base=base, policy=policy, rules=rules)


def _iptables_chains(text: str) -> dict[str, Chain]:
    """Return the chains of one saved table; `:NAME -` is a chain that people made."""
    policies: dict[str, str] = {}
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if line.startswith(":"):
            name, policy = line[1:].split()[:2]
            policies[name] = policy.lower()
        elif line.startswith("-A "):
            name = line.split()[1]
            counts[name] = counts.get(name, 0) + 1
    return {
        name: Chain(base=policy != "-", policy=policy, rules=counts.get(name, 0)) for name, policy in policies.items()
    }


def _is_left_alone(name: str) -> bool:
    return name in _OWN or _FLEETING.fullmatch(name) is not None


def _asked(host: Host, *argv: str) -> Completed:
    done = host.commands.ask(*argv)
    if done.code != 0:
        raise Unavailable(
            Why.OTHER, f"{argv[0]} does not list the ruleset: {words(done)}", advice=f"run `{' '.join(argv)}`"
        )
    return done
