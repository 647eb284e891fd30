"""Reads iptables and ip6tables: the nft variant beside nftables, the legacy variant that nftables does not know of.

nft shows what iptables-nft made, but not always with its arguments (`xt match recent`), so rules of such a table are taken in the words of
`iptables-nft-save`. When that tool calls a table incompatible (with exit code 0!) nft's words stay, and what they may hide is a
blind spot. Legacy tables are those named in `/proc/net/ip_tables_names`: without that list, `iptables-legacy-save` prints nothing and
succeeds, which must not read as "none".
"""

import re

import msgspec

from collectors.firewall.ruleset import IPTABLES_LEGACY, IPTABLES_NFT, Chain, Table
from contracts.coverage import Blind
from contracts.errors import Malformed, Unavailable, Why
from contracts.host import Completed, ReadOnlyHost
from contracts.text import escape

NAMES = ("filter", "nat", "mangle", "raw", "security")
SAVE = {"ip": "iptables", "ip6": "ip6tables"}

_REFUSED = re.compile(r"# Table `(.+?)' (?:is incompatible|contains incompatible)")
_QUOTED = re.compile(r'"[^"]*"')
_MATCHES = re.compile(r"-m (?!(?:tcp|udp|sctp|dccp|icmp6?|comment) )")
_BEYOND = re.compile(
    r"[{@]|\b(?:vmap|map|set|skuid|skgid|fib|rt|ct|mark|length|ttl|hoplimit|dscp|cgroup|cpu|iif|oif|pkttype|socket|exthdr|numgen|jhash|limit|quota|update|add|queue|dup|notrack)\b"
)
_COUNTERS = re.compile(r"(?m)^(:.* )\[\d+:\d+\]$")
_PRIORITY = {"raw": -300, "mangle": -150, "filter": 0, "security": 50, "nat": -100}
_ALWAYS_THERE = "/proc/net/dev"
_UNHIDE = "Mount /proc without subset=pid (ProcSubset=all in the unit of the netfilter worker)."
_GRANT = "Give the netfilter worker CAP_NET_ADMIN, CAP_NET_RAW and CAP_DAC_READ_SEARCH."


class Saved(msgspec.Struct):
    """What one `*-save` printed: by table and chain the policy ("-" for none) and the rules without their `-A CHAIN`."""

    policies: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    rules: dict[str, dict[str, list[str]]] = msgspec.field(default_factory=dict)
    incompatible: tuple[str, ...] = ()


def parse(text: str) -> Saved:
    """Return what an iptables-save output says; raises `Malformed`."""
    saved = Saved(incompatible=tuple(dict.fromkeys(_REFUSED.findall(text))))
    table = ""
    for line in _lines(text):
        if line.startswith("-A ") and table:
            rules = saved.rules[table]
            chain, _, rule = line[3:].partition(" ")
            if chain not in rules:
                chain = max((name for name in rules if line.startswith(f"-A {name} ")), key=len, default="")
                rule = line[len(chain) + 4 :]
            if not chain:
                raise Malformed(f"a rule of no declared chain in {table}: {line[:80]!r}")
            rules[chain].append(rule)
        elif line.startswith("*"):
            table = line[1:]
            saved.policies[table], saved.rules[table] = {}, {}
        elif line.startswith(":") and table:
            chain, policy, _ = [*line[1:].rsplit(" ", 2), "", ""][:3]
            saved.policies[table][chain], saved.rules[table][chain] = policy, []
        elif line not in ("", "COMMIT") and not line.startswith("#"):
            raise Malformed(f"unexpected {line[:80]!r}")
    return saved


def _lines(text: str) -> list[str]:
    r"""Split at line breaks outside quotes (a comment may hold one); quotes inside quotes are printed as `\"`, here `\\"`."""
    lines: list[str] = []
    is_open = False
    for line in text.split("\n"):
        if is_open:
            lines[-1] += "\n" + line
        else:
            lines.append(line)
        if '"' in line:
            is_open ^= bool((line.count('"') - line.count('\\"')) % 2)
    return lines


def join(
    host: ReadOnlyHost,
    tables: list[Table],
    managed: frozenset[tuple[str, str]],
    said: dict[str, Saved] | None = None,
) -> tuple[list[Blind], tuple[str, ...]]:
    """Put iptables' own words into the tables that iptables-nft made.

    `managed` names the tables that hold matches or targets nft cannot state by itself. Returns what stays unseen and the tables that the
    tool refuses; what each tool said goes to `said` by family. Raises `Malformed` when both tools disagree, which a second try may mend.
    """
    blind: list[Blind] = []
    refused: list[str] = []
    for family, tool in SAVE.items():
        mine = [table for table in tables if table.family == family and table.name in NAMES]
        if not mine:
            blind += unable(host, f"{tool}-nft-save") if family == "ip" else ()
            continue
        try:
            saved = parse(_save(host, f"{tool}-nft-save"))
        except Unavailable as error:
            hidden = [table for table in mine if (family, table.name) in managed]
            blind += [_hidden(table, error.why, error.message, error.advice) for table in hidden]
            blind += () if hidden else unable(host, f"{tool}-nft-save")
            continue
        if said is not None:
            said[family] = saved
        for table in mine:
            if table.name in saved.incompatible:
                refused.append(f"{family} {table.name}")
                blind += _refused(table, (family, table.name) in managed)
            elif table.name in saved.rules:
                _adopt(table, saved)
    joined = {(table.family, table.name) for table in tables if table.family in SAVE and table.name in NAMES}
    blind += [
        _hidden(
            table,
            Why.INCOMPATIBLE,
            "no tool states it",
            "Keep such rules in iptables' own tables or write them for nft.",
        )
        for table in tables
        if (table.family, table.name) in managed - joined
    ]
    return blind, tuple(refused)


def unable(host: ReadOnlyHost, tool: str) -> list[Blind]:
    """Say what would stay unseen if a tool that nothing needs right now were needed: it is there, but does not run.

    A tool that is not installed takes nothing away as long as there is nothing for it to state.
    """
    try:
        answer = host.commands.ask(tool, "-V")
    except Unavailable as error:
        if error.why is Why.TOOL_MISSING:
            return []
        refusal = error
    else:
        if answer.code == 0:
            return []
        refusal = _refusal(tool, answer)
    what = f"what only {tool} can state, once there are tables of {tool.removesuffix('-save')}"
    return [Blind(what=what, why=refusal.why, detail=refusal.message, fix=refusal.advice)]


def _save(host: ReadOnlyHost, tool: str) -> str:
    answer = host.commands.ask(tool)
    if answer.code != 0:
        raise _refusal(tool, answer)
    return escape(answer.stdout + b"\n" + answer.stderr if b"incompatible" in answer.stderr else answer.stdout)


def _refusal(tool: str, answer: Completed) -> Unavailable:
    said = escape(answer.stderr).strip().splitlines() or [f"exit code {answer.code}"]
    is_denied = answer.code == 4 or any(
        "ermission" in line or "must be root" in line or "not permitted" in line for line in said
    )
    why, advice = (Why.PERMISSION, _GRANT) if is_denied else (Why.OTHER, f"Run {tool} by hand.")
    return Unavailable(why, f"{tool}: {said[0]}", advice=advice)


def _adopt(table: Table, saved: Saved) -> None:
    rules = saved.rules[table.name]
    for chain in table.chains:
        if len(rules.get(chain.name, ())) != len(chain.rules):
            raise Malformed(
                f"nft and iptables-nft-save disagree about chain {chain.name} of table {table.family} {table.name}"
            )
    table.source = IPTABLES_NFT
    for chain in table.chains:
        chain.other_words, saved_rules = chain.rules, rules.get(chain.name, [])
        chain.rules = [_words(mine, nft) for mine, nft in zip(saved_rules, chain.other_words, strict=True)]


def _words(saved: str, nft: str) -> str:
    """Choose between the two tools' words for one rule.

    `iptables-nft-save` states a rule that nft wrote as if the expressions it does not know were not there:
    `tcp dport { 22, 80 } accept` becomes `-p tcp -j ACCEPT`. A rule with words that iptables itself would have written as
    a match is therefore shown in nft's words.
    """
    if _MATCHES.search(saved) or not _BEYOND.search(_QUOTED.sub("", nft)):
        return saved
    return f"{nft} # iptables-nft-save: {saved}"


def _refused(table: Table, is_hiding: bool) -> list[Blind]:
    """Say what a table hides that iptables-nft-save refuses: much if nft cannot state it either, nothing if iptables never made it."""
    fix = "Keep rules written with nft out of the tables of iptables."
    detail = "iptables-nft-save calls the table incompatible; its rules are shown as nft states them"
    if is_hiding:
        return [_hidden(table, Why.INCOMPATIBLE, detail, fix)]
    if any(chain.hook and chain.name == chain.hook.upper() for chain in table.chains):
        what = f"how iptables would state table {table.family} {table.name}"
        return [Blind(what=what, why=Why.INCOMPATIBLE, detail=detail, fix=fix)]
    return []


def _hidden(table: Table, why: Why, detail: str, fix: str) -> Blind:
    what = f"the arguments of xtables matches and targets in table {table.family} {table.name}"
    return Blind(what=what, why=why, detail=detail, fix=fix)


def read_without_nft(host: ReadOnlyHost) -> list[Table]:
    """Return what iptables-nft alone can state of nftables' ruleset, on a host without nft; raises `Unavailable`."""
    tables: list[Table] = []
    for family, tool in SAVE.items():
        saved = parse(_save(host, f"{tool}-nft-save"))
        tables += [_table(saved, family, name, IPTABLES_NFT) for name in saved.rules if name not in saved.incompatible]
    return tables


def read_legacy(host: ReadOnlyHost) -> tuple[list[Table], list[Blind], frozenset[str]]:
    """Return the legacy tables that do something, what cannot be seen of them, and the families that cannot be seen."""
    tables: list[Table] = []
    blind: list[Blind] = []
    unseen: set[str] = set()
    for family, tool in SAVE.items():
        try:
            saved = _legacy(host, tool, family)
        except (Unavailable, Malformed) as error:
            why = error.why if isinstance(error, Unavailable) else Why.MALFORMED
            blind.append(Blind(what=f"the tables of {tool}-legacy", why=why, detail=error.message, fix=error.advice))
            unseen.add(f"legacy-{family}")
            continue
        if family == "ip" and not saved.rules:
            blind += unable(host, f"{tool}-legacy-save")
        found = [_table(saved, f"legacy-{family}", name, IPTABLES_LEGACY) for name in saved.rules]
        tables += [table for table in found if any(chain.rules or chain.policy == "drop" for chain in table.chains)]
    return tables, blind, frozenset(unseen)


def _legacy(host: ReadOnlyHost, tool: str, family: str) -> Saved:
    saved = parse(legacy_text(host, family))
    names = _legacy_names(host, family)
    if missing := sorted(set(names) - saved.rules.keys()):
        raise Unavailable(Why.PERMISSION, f"{tool}-legacy-save leaves out {', '.join(missing)}", advice=_GRANT)
    return saved


def legacy_text(host: ReadOnlyHost, family: str) -> str:
    """Return what `*-legacy-save` prints, "" when the kernel holds no legacy table; raises `Unavailable`."""
    if not _legacy_names(host, family):
        return ""
    tool = f"{SAVE[family]}-legacy-save"
    answer = host.commands.ask(tool)
    if answer.code != 0:
        raise _refusal(tool, answer)
    return _COUNTERS.sub(r"\1[0:0]", escape(answer.stdout))


def _legacy_names(host: ReadOnlyHost, family: str) -> list[str]:
    """Return the legacy tables the kernel holds; only this list tells that there is none. Asking it loads no module."""
    path = f"/proc/net/{family}_tables_names"
    try:
        return escape(host.files.read(path)).split()
    except Unavailable as error:
        if error.why is not Why.NOT_PRESENT:
            raise Unavailable(error.why, f"{path}: {error.message}", advice=_GRANT) from error
        try:
            host.files.read(_ALWAYS_THERE)
        except Unavailable as hidden:  # it is not the list that is missing, but all of /proc/net
            raise Unavailable(Why.PERMISSION, f"{path} is hidden: {hidden.message}", advice=_UNHIDE) from error
        return []


def _table(saved: Saved, family: str, name: str, source: str) -> Table:
    chains = []
    for chain, rules in saved.rules[name].items():
        policy = saved.policies[name][chain]
        is_base = policy != "-"
        sort = "nat" if name == "nat" else "route" if (name, chain) == ("mangle", "OUTPUT") else "filter"
        chains.append(
            Chain(
                name=chain,
                rules=rules,
                type=sort if is_base else "",
                hook=chain.lower() if is_base else "",
                priority=_PRIORITY.get(name, 0) if is_base else None,
                policy=policy.lower() if is_base else "",
            )
        )
    return Table(family, name, source, chains=chains)
