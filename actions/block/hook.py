"""Reads our own table back and says whether a ban in it is reached: nothing missing, no rule of others before ours, not dormant."""

import re

from actions.block.table import BASE_CHAINS, MARK, rules
from contracts.blocking import TABLE
from contracts.errors import Unavailable, Why
from contracts.host import ReadOnlyHost
from contracts.record import Record

_CHAIN = re.compile(r"chain (\S+) \{")
_HANDLE = re.compile(r"\s+# handle (\d+)$")
_OURS = re.compile(rf'comment "{MARK} (\w+) (\d+)"$')
_ENDING = re.compile(r"\b(accept|return|goto|queue|vmap|jump)\b")
_BOTH = ("input", "forward", "sources")
"""Chains in which somebody else's rule can keep a packet from ours."""


class Hook(Record):
    """What is wrong with our table: `missing` parts (it has to be loaded again), and rules of others that may let a packet past ours."""

    missing: tuple[str, ...] = ()
    shadows: tuple[str, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.shadows)


def look(host: ReadOnlyHost) -> Hook:
    """Read the table without its elements; raises `Unavailable` when nft cannot say."""
    done = host.commands.ask("nft", "-a", "-s", "-t", "list", "table", "inet", TABLE, timeout_s=10.0, max_bytes=4 << 20)
    if done.code:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if "No such file" in (said[0] if said else ""):
            return Hook(missing=(f"the table inet {TABLE}",))
        raise Unavailable(Why.OTHER, f"nft cannot list the table of bans: {said[0][:200] if said else done.code}")
    return judge(done.stdout.decode("utf-8", "replace"))


def judge(listing: str) -> Hook:
    """Judge a listing with handles."""
    chains, bases, is_dormant = _parse(listing)
    missing = ["the table sleeps (flag dormant)"] if is_dormant else []
    shadows: list[str] = []
    for name, wanted in rules().items():
        if name not in chains:
            missing.append(f"the chain {name}")
            continue
        if name in BASE_CHAINS and not bases.get(name, "").startswith(f"type filter hook {BASE_CHAINS[name][0]} "):
            missing.append(f"the hook of chain {name}")
        place = -1
        found = set()
        for place_, rule in enumerate(chains[name]):
            ours = _OURS.search(_HANDLE.sub("", rule))
            if ours is not None and ours[1] == name:
                found.add(int(ours[2]))
                place = place_
        missing += [f"a rule of chain {name}" for number in range(len(wanted)) if number not in found][:1]
        if name in _BOTH:
            shadows += [_told(name, rule) for rule in chains[name][: place + 1] if _shadows(rule)]
    return Hook(missing=tuple(missing), shadows=tuple(shadows))


def _parse(listing: str) -> tuple[dict[str, list[str]], dict[str, str], bool]:
    """Return the rules of each chain, the line that hooks it, and whether the table is dormant."""
    chains: dict[str, list[str]] = {}
    bases: dict[str, str] = {}
    current, is_dormant = "", False
    for raw in listing.splitlines():
        line = raw.strip()
        opened = _CHAIN.match(line)
        if opened is not None:
            current = opened[1]
            chains[current] = []
        elif line == "}":
            current = ""
        elif current and line.startswith("type "):
            bases[current] = line
        elif current and line and not line.startswith("comment "):
            chains[current].append(line)
        elif (
            not current and line.startswith("flags ") and "dormant" in line and raw.startswith("\t") and raw[1] != "\t"
        ):
            is_dormant = True
    return chains, bases, is_dormant


def _shadows(rule: str) -> bool:
    """Say whether a rule is somebody else's and may end a packet's way through our chain."""
    text = _HANDLE.sub("", rule)
    return _OURS.search(text) is None and _ENDING.search(text) is not None


def _told(chain: str, rule: str) -> str:
    handle = _HANDLE.search(rule)
    text = _HANDLE.sub("", rule)[:160]
    return f"`{text}` (handle {handle[1] if handle else '?'}) stands before our rules in chain {chain} of table inet {TABLE}"
