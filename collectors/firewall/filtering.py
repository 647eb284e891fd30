"""What becomes of an arriving packet that no rule names: the coarse answer for the summary, by address family.

Only rules without a condition and policies count for `closed`; whether one given port is reachable is for the exposure evaluator.
"""

import re
from collections.abc import Iterator

from collectors.firewall import makers
from collectors.firewall.ruleset import Chain, Table

CLOSED, PARTIAL, OPEN = "closed", "partial", "open"
STRICTNESS = (OPEN, PARTIAL, CLOSED)

_FAMILIES = {4: frozenset({"ip", "inet", "netdev", "legacy-ip"}), 6: frozenset({"ip6", "inet", "netdev", "legacy-ip6"})}
_HOOKS = frozenset({"input", "prerouting"})
_NFPROTO = {4: "meta nfproto ipv4 ", 6: "meta nfproto ipv6 "}

# A rule that begins with one of these has no condition before its verdict.
_STARTS = (
    "accept",
    "drop",
    "reject",
    "jump ",
    "goto ",
    "return",
    "counter",
    "log",
    "queue",
    "meta nfproto ip",
    "-j ",
    "-g ",
    "-m comment ",
)
_NFT_PLAIN = re.compile(
    r'(?:counter(?: packets \d+ bytes \d+)? ?|log(?: (?:prefix "[^"]*"|(?:level|flags|group|snaplen|queue-threshold) \S+))* ?)*'
    r"(?:(accept|drop|reject|return|queue)\b.*|(?:jump|goto) (\S+).*)"
)
_XT_PLAIN = re.compile(r'(?:-m comment --comment (?:"(?:\\+"|[^"])*"|\S+) )?-[jg] (\S+).*', re.DOTALL)
_XT_VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return", "NFQUEUE": "queue"}
_REFUSES = re.compile(r"\b(?:drop|reject)\b|-j (?:DROP|REJECT)\b")
_JUMPS = re.compile(r"\b(?:jump|goto) ([^\s,}]+)|-[jg] (\S+)")
_QUOTED = re.compile(r'"[^"]*"')
_DEEPEST = 16


def level(tables: list[Table], family: int) -> str:
    """Return `closed`, `partial` or `open` for `family` 4 or 6."""
    is_partial = False
    for table, chain in _arrivals(tables, family):
        chains = {other.name: other for other in table.chains}
        fate, reached = _fate(chain, chains, family, 0)
        if (chain.policy if fate in ("", "return") else fate) in ("drop", "reject", "queue"):
            return CLOSED
        is_partial = is_partial or (
            chain.hook == "input" and _refuses_anything(table, chain, chain.rules[:reached], chains)
        )
    return PARTIAL if is_partial else OPEN


def policy(tables: list[Table], family: int) -> str:
    """Return the strictest policy of the family's base chains at the input hook: drop, accept or none."""
    policies = {chain.policy for _, chain in _arrivals(tables, family) if chain.hook == "input"}
    return "drop" if "drop" in policies else "accept" if policies else "none"


def _arrivals(tables: list[Table], family: int) -> Iterator[tuple[Table, Chain]]:
    for table in tables:
        if table.family in _FAMILIES[family] and not table.dormant:
            for chain in table.chains:
                if chain.type == "filter" and chain.hook in _HOOKS:
                    yield table, chain


def _fate(chain: Chain, chains: dict[str, Chain], family: int, depth: int) -> tuple[str, int]:
    """Return the verdict of the first rule without a condition ("" when there is none) and how many rules a packet may reach."""
    for place, rule in chain.unconditional(_STARTS):
        verdict, target = _plain(rule.removeprefix(_NFPROTO[family]))
        if target and target in chains and depth < _DEEPEST:
            verdict, _ = _fate(chains[target], chains, family, depth + 1)
            if verdict in ("", "return"):
                continue
        if verdict:
            return verdict, place
    return "", len(chain.rules)


def _plain(rule: str) -> tuple[str, str]:
    """Return verdict and jump target of a rule without a condition, in the words of nft or iptables."""
    if rule.startswith("-"):
        match = _XT_PLAIN.fullmatch(rule)
        return (_XT_VERDICTS.get(match[1], ""), match[1]) if match else ("", "")
    match = _NFT_PLAIN.fullmatch(rule)
    return (match[1] or "", match[2] or "") if match else ("", "")


def _refuses_anything(table: Table, base: Chain, reached: list[str], chains: dict[str, Chain]) -> bool:
    """Say whether the rules `reached` of `base`, or chains they lead to, refuse something, what banning makers made aside."""
    seen: set[str] = set()
    waiting = [base]
    while waiting:
        chain = waiting.pop()
        if chain.name in seen or makers.of_chain(chain.name, makers.of_table(table.name)) in makers.BANNING:
            continue
        seen.add(chain.name)
        body = "\n".join(reached if chain is base else chain.rules)
        if '"' in body:
            body = _QUOTED.sub('""', body)
        if _REFUSES.search(body):
            return True
        targets = {match[1] or match[2] for match in _JUMPS.finditer(body)}
        waiting += [chains[name] for name in targets if name in chains]
    return False
