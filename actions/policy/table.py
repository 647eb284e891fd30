"""Our own table `inet holdfast` as the kernel holds it: which policy is confirmed there, which is on trial; and how it is changed.

Every change is one transaction, so that nothing is ever half applied, and what the kernel refuses is told in nft's own words.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from analysis.firewall.policy import CONFIRMED, FAMILY, NAME, TABLE, TRIAL
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.host import Completed, Host
from contracts.record import Record

TURN = threading.Lock()
"""Deeds of one worker run in threads of their own; those that change the policy, or restore it, take turns."""
_MAX_WORDS = 1000


class NftRefused(HoldfastError):
    """The kernel or nft refused a ruleset; nothing of it was applied."""


class Held(Record):
    """What table `inet holdfast` holds: digests of the confirmed policy and of the one on trial, "" for none.

    `left_s` is how long the trial still lasts, 0 when it has run out. `rules` counts the rules of each chain; `foreign` names the chains
    that have a rule which the policy does not have there: one of somebody else at a hook, or a last one that lets packets pass.
    """

    present: bool = False
    confirmed: str = ""
    trial: str = ""
    left_s: int = 0
    dormant: bool = False
    rules: Mapping[str, int] = {}
    foreign: tuple[str, ...] = ()


def held(host: Host) -> Held:
    """Read our table; raises `Unavailable` when nft cannot be asked."""
    done = host.commands.ask("nft", "-j", "list", "table", FAMILY, NAME)
    if done.code != 0:
        if b"No such file" in done.stderr:
            return Held()
        raise Unavailable(Why.OTHER, f"table {TABLE} cannot be read: {words(done)}", advice="see `nft list ruleset`")
    try:
        objects: list[Mapping[str, Any]] = json.loads(done.stdout)["nftables"]
    except (ValueError, KeyError) as error:
        raise Unavailable(Why.MALFORMED, f"nft answered with no JSON about {TABLE}", advice="update nft") from error
    state = _read(objects)
    # nft 1.0.6 does not tell a table's flags in JSON.
    text = host.commands.ask("nft", "-s", "list", "table", FAMILY, NAME).stdout
    return msgspec.structs.replace(state, dormant=b"\n\tflags dormant" in text)


def check(host: Host, script: str) -> None:
    """Have nft look whether it would take `script`; raises `NftRefused`."""
    done = host.change("nft", "-c", "-f", "-", stdin=script.encode())
    if done.code != 0:
        raise NftRefused(words(done))


def load(host: Host, script: str) -> None:
    """Load `script` as one transaction; raises `NftRefused` with the kernel's words."""
    done = host.change("nft", "-f", "-", stdin=script.encode())
    if done.code != 0:
        raise NftRefused(words(done))


def words(done: Completed) -> str:
    """Return what a tool said, in one line: its errors, without the lines that only point."""
    text = done.stderr.decode("utf-8", "replace") or done.stdout.decode("utf-8", "replace")
    lines = [line.strip() for line in text.splitlines() if line.strip(" ^~\t")]
    return "; ".join(lines)[:_MAX_WORDS] or f"{done.argv[0]} ended with code {done.code}"


def _read(objects: list[Mapping[str, Any]]) -> Held:
    digests = {CONFIRMED: "", TRIAL: ""}
    hooks: set[str] = set()
    rules: dict[str, list[Mapping[str, Any]]] = {}
    left = 0
    for each in objects:
        if "chain" in each and "hook" in each["chain"]:
            hooks.add(each["chain"]["name"])
        elif "set" in each and each["set"]["name"] == TRIAL:
            left = _left_s(each["set"].get("elem", ()))
        elif "rule" in each:
            rules.setdefault(each["rule"]["chain"], []).append(each["rule"])
    for rule in rules.get("input", ()):
        prefix, _, digest = str(rule.get("comment", "")).partition(" ")
        if prefix in digests:
            digests[prefix] = digest
    return Held(
        present=True,
        confirmed=digests[CONFIRMED],
        trial=digests[TRIAL],
        left_s=left,
        rules={chain: len(each) for chain, each in rules.items()},
        foreign=tuple(sorted(chain for chain, each in rules.items() if _is_foreign(each, chain in hooks))),
    )


def _is_foreign(rules: list[Mapping[str, Any]], at_hook: bool) -> bool:
    """Say whether a chain holds what none of our scripts puts there."""
    if at_hook:
        return any(str(rule.get("comment", "")).partition(" ")[0] not in (CONFIRMED, TRIAL) for rule in rules)
    return "drop" not in rules[-1]["expr"][-1]


def _left_s(elements: Any) -> int:
    """Return how long both families are still on trial."""
    found = {each["elem"]["val"]: int(each["elem"].get("expires", 0)) for each in elements if "elem" in each}
    return min(found.get(family, 0) for family in ("ipv4", "ipv6"))
