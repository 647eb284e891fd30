"""Names the programs on a packet's way that are no ruleset: XDP, filters of tc that act, BPF programs of cgroups and tcx."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from collectors.firewall.datapath_network import documents
from collectors.firewall.datapath_rows import Sheet, compact
from contracts.codec import UNDECODABLE
from contracts.errors import Unavailable, Why
from contracts.host import PacketProgram, ReadOnlyHost
from contracts.text import escape

_HARMLESS = frozenset(
    {"noqueue", "noop", "mq", "fq", "fq_codel", "pfifo_fast", "pfifo", "bfifo", "sfq", "cake", "codel", "tbf"}
)
"""Queues that hold no filters of their own."""
_BOTH = ("clsact",)
_INGRESS = ("clsact", "ingress")
_SETTINGS = ("Id", "IPAddressDeny", "IPAddressAllow", "IPIngressFilterPath", "IPEgressFilterPath")
_UNIT = re.compile(r"[\w.@:-]+", re.ASCII)
_MAX_UNITS = 200
_FLEETING = ("stats", "installed", "last_used", "used", "first_used", "expires", "rate_est", "hw_stats")


def read(host: ReadOnlyHost, sheet: Sheet) -> None:
    """Put the programs on `sheet`; kinds of programs that cannot be looked for are blind spots."""
    _put_xdp(sheet)
    try:
        for device, direction, filters in _acting(host):
            names = sorted({_name(entry) for entry in filters})
            place = f"{device} {direction}".rstrip()
            text = f"tc {direction or 'queue'} of {device}: {', '.join(names)}"
            sheet.put("program", "tc", place, document=compact(filters).decode(), text=text)
    except Unavailable as error:
        fix = "Install tc (package iproute2 or iproute-tc)." if error.why is Why.TOOL_MISSING else error.advice
        sheet.missing("filters of tc on the way of packets", error.why, error.message, fix)
    try:
        found = host.programs.on_packets()
    except Unavailable as error:
        sheet.missing("BPF programs of cgroups and tcx on the way of packets", error.why, error.message, error.advice)
        return
    sheet.blind += found.blind
    meanings = _meanings(host, sorted({program.unit for program in found.programs if program.unit}))
    for program in found.programs:
        _put_bpf(sheet, program, meanings.get(program.unit, ""))


def _put_bpf(sheet: Sheet, program: PacketProgram, meaning: str) -> None:
    kind = "tc" if program.kind == "tcx" else "unit" if program.unit else program.kind
    place = program.unit or program.place
    plural = "s" if len(program.ids) > 1 else ""
    text = f"BPF program{plural} {', '.join(map(str, program.ids))} at {program.direction} of {place}{meaning}"
    sheet.put_next("program", kind, f"{place} {program.direction}", document=compact(program).decode(), text=text)


def _meanings(host: ReadOnlyHost, units: list[str]) -> dict[str, str]:
    """Return what systemd has those programs do, by unit, in the words of its settings; nothing for a unit that it does not filter."""
    units = [unit for unit in units if _UNIT.fullmatch(unit)][:_MAX_UNITS]
    if not units:
        return {}
    try:
        answer = host.commands.ask("systemctl", "show", f"--property={','.join(_SETTINGS)}", "--no-pager", *units)
    except Unavailable:
        return {}  # the programs are named all the same
    found: dict[str, str] = {}
    for block in escape(answer.stdout).split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        said = ", ".join(f"{name}={fields[name]}" for name in _SETTINGS[1:] if fields.get(name))
        if said:
            found[fields.get("Id", "")] = f" ({said})"
    return found


def _put_xdp(sheet: Sheet) -> None:
    for _, link in documents(sheet, "link"):
        found = link.get("xdp")
        if found:
            program = found.get("prog", {}) if isinstance(found, dict) else {}
            name = program.get("name") or f"id {program.get('id', 'unknown')}"
            device = str(link.get("ifname", ""))
            sheet.put("program", "xdp", device, document=compact(found).decode(), text=f"XDP of {device}: {name}")


def _acting(host: ReadOnlyHost) -> Iterator[tuple[str, str, list[Any]]]:
    """Yield device, direction ("" for the queue) and the filters of every place of tc whose filters act on packets."""
    for qdisc in _ask(host, "qdisc", "show"):
        kind, device = qdisc.get("kind", ""), str(qdisc.get("dev", ""))
        directions = ("ingress", "egress") if kind in _BOTH else ("ingress",) if kind in _INGRESS else ("",)
        if not device or (directions == ("",) and (kind in _HARMLESS or not qdisc.get("root"))):
            continue
        for direction in directions:
            filters = [_settled(entry) for entry in _ask(host, "filter", "show", "dev", device, direction)]
            filters = [entry for entry in filters if _acts(entry, is_hook=bool(direction))]
            if filters:
                yield device, direction, filters


def _acts(entry: dict[str, Any], is_hook: bool) -> bool:
    """Say whether a filter may do more than sort packets into classes."""
    options = entry.get("options")
    if not isinstance(options, dict):
        return False  # the head of a list, whose entries follow
    if "actions" in options or "police" in options or "action" in options:
        return True
    return is_hook and (entry.get("kind") == "bpf" or "direct-action" in options)


def _name(entry: dict[str, Any]) -> str:
    options = entry.get("options", {})
    actions = [str(action.get("kind", "")) for action in options.get("actions", ()) if isinstance(action, dict)]
    name = options.get("bpf_name") or (options.get("prog") or {}).get("name", "")
    return " ".join(filter(None, (str(entry.get("kind", "")), str(name), *actions)))


def _settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _settled(inner) for name, inner in value.items() if name not in _FLEETING}
    return [_settled(inner) for inner in value] if isinstance(value, list) else value


def _ask(host: ReadOnlyHost, *arguments: str) -> list[dict[str, Any]]:
    words = tuple(word for word in arguments if word)
    answer = host.commands.ask("tc", "-j", *words)
    if answer.code != 0:
        said = (escape(answer.stderr).strip().splitlines() or [f"exit code {answer.code}"])[0]
        if "Cannot find device" in said:
            return []
        raise Unavailable(Why.OTHER, f"tc {' '.join(words)}: {said}", advice="Run the same command by hand.")
    try:
        return msgspec.json.decode(answer.stdout or b"[]", type=list[dict[str, Any]])
    except UNDECODABLE as error:
        message = f"tc {' '.join(words)} prints no JSON: {error}"
        raise Unavailable(Why.MALFORMED, message, advice="Run the same command by hand.") from error
