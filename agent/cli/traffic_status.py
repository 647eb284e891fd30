"""`holdfast traffic status`: how the sensor stands, what it could not see first."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from agent.cli.reach import agent_option, json_option
from agent.cli.text import ago, blind_lines, plain, size, table, to_json
from agent.control import ask
from contracts.plural import plural

SUBJECT = "traffic"
TOP = 10


@click.command()
@agent_option
@json_option
def status(path: Path, as_json: bool) -> int:
    """Show how the sensor stands: rate, drops, flows, memory, rules, lag; exit code 1 while it does not watch."""
    looked: dict[str, Any] = ask(path, "look", {"subject": SUBJECT})
    sights = [sight for sight in ask(path, "coverage")["sights"] if sight["subject"] == SUBJECT]
    sight: dict[str, Any] = sights[0] if sights else {"state": "unknown", "blind": []}
    subject: dict[str, Any] = ask(path, "subject", {"subject": SUBJECT})
    watching = looked["outcome"].get("type") == "ok"
    rows: dict[str, dict[str, Any]] = subject["rows"]
    if as_json:
        answer = {
            "watching": watching,
            "state": sight["state"],
            "blind": sight["blind"],
            "at_ms": subject["at_ms"],
            **_parts(rows),
        }
        click.echo(to_json(answer, indent=2))
        return int(not watching)
    for line in lines(watching, sight, subject["at_ms"], rows):
        click.echo(line)
    return int(not watching)


def lines(watching: bool, sight: Mapping[str, Any], at_ms: int, rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the answer as people read it."""
    word = click.style("watching", fg="green") if watching else click.style("not watching", fg="red")
    yield f"Sensor: {word}" + ("" if watching else f"; the numbers are of {ago(at_ms)}")
    for blind in sight["blind"]:
        yield from blind_lines(blind)
    parts = _parts(rows)
    if parts["sensor"]:
        yield from _sensor(parts["sensor"])
    if parts["rules"]:
        yield from _rules(parts["rules"])
    interfaces = [
        [
            plain(name) + _state(row),
            f"{row.get('seen', 0)}",
            f"{row.get('read', 0)}",
            f"{row.get('dropped', 0)}",
            f"{row.get('drop_share', 0.0):.2f} %",
            f"{row.get('freezes', 0)}",
        ]
        for name, row in sorted(parts["interfaces"].items())
    ]
    yield from _section("", interfaces, ["interface", "seen", "read", "dropped", "lately", "ring full"])
    peers = sorted(
        parts["peers"].items(), key=lambda peer: -peer[1].get("bytes_sent", 0) - peer[1].get("bytes_received", 0)
    )
    shown = [
        [plain(name), size(row.get("bytes_sent", 0)), size(row.get("bytes_received", 0)), str(row.get("flows", 0))]
        for name, row in peers[:TOP]
    ]
    yield from _section("Most bytes lately:", shown, ["address", "sent", "received", "new flows"])
    protocols = sorted(parts["protocols"].items(), key=lambda one: -one[1].get("conversations", 0))
    listed = [
        [plain(name), str(row.get("conversations", 0)), str(row.get("transactions", 0))]
        for name, row in protocols[:TOP]
    ]
    yield from _section("Protocols:", listed, ["protocol", "conversations", "transactions"])


def _parts(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the rows by sort."""
    found: dict[str, Any] = {"sensor": {}, "rules": {}, "interfaces": {}, "peers": {}, "protocols": {}}
    for key, row in rows.items():
        what, _, name = key.partition(" ")
        if what in ("sensor", "rules"):
            found[what] = row.get(what) or {}
        elif f"{what}s" in found:
            found[f"{what}s"][name] = row.get(what) or {}
    return found


def _state(interface: Mapping[str, Any]) -> str:
    """Return what is to be said of an interface over which nothing can come."""
    if not interface.get("present", True):
        return " (not there)"
    still = interface.get("standstill", "")
    return f" ({plain(still)})" if still else ""


def _sensor(now: Mapping[str, Any]) -> Iterator[str]:
    yield f"  since       {ago(now['since_ms'])}: {plural(now['packets'], 'packet')}, {size(now['bytes'])}"
    yield f"  rate        {now['packets_per_s']:.0f} packets/s, {size(now['bytes_per_s'])}/s"
    given = f", {now['flows_evicted']} given up" if now["flows_evicted"] else ""
    hurry = ", in an emergency" if now["emergency"] else ""
    yield f"  flows       {now['flows']} now, {now['flows_begun']} in all{given}{hurry}"
    yield f"  memory      {size(now['memory_bytes'])} of tables"
    cut = f", {plural(now['bodies_cut'], 'conversation')} cut for lack of room" if now.get("bodies_cut") else ""
    yield f"  unfinished  {size(now.get('bodies_bytes', 0))} of requests, bodies and files{cut}"
    yield f"  lag         {now['lag_ms']:.0f} ms at most since the last look"
    alerts = f"  alerts      {now['alerts']}: {now['held_back']} counted instead of stated"
    yield f"{alerts}, {now['banned']} of banned sources, {now['suppressed']} not wanted, {now['discarded']} too many for a packet"
    told, again = now.get("findings", 0), now.get("findings_repeated", 0)
    banned = now.get("findings_banned", 0)
    yield f"  findings    {told} of detectors; {again} not told again, as equal ones had been, {banned} of banned sources"
    yield f"  evidence    {plural(now['evidence'], 'capture')}, {now['evidence_left_out']} left out"
    made, missing = now.get("flow_records", 0), now.get("flow_records_left_out", 0)
    if made or missing:
        yield f"  records     {made} of flows that ended, {missing} left out"
    share = f"{plural(now['encrypted'], 'conversation')} encrypted ({now['encrypted_share']:.0f} % of bytes)"
    yield f"  not read    {share}, {plural(now['undecoded'], 'packet')} malformed, {plural(now['parsers_broken'], 'parser')} broken"
    if now.get("code"):
        yield f"  code        {plain(now['code'])}"


def _rules(rules: Mapping[str, Any]) -> Iterator[str]:
    loaded = f"{rules['loaded']} in use, {rules['refused']} refused"
    when = f"loaded {ago(rules['loaded_ms'])} in {rules['seconds']:.1f} s" if rules["loaded_ms"] else "none loaded yet"
    how = " from the cache" if rules["cached"] else ""
    more = ", others are being loaded" if rules["loading"] else ""
    yield f"  rules       {loaded}; {when}{how}{more}"
    if rules["problem"]:
        yield click.style(f"              {plain(rules['problem'])}", fg="red")


def _section(title: str, rows: list[list[str]], heads: list[str]) -> Iterator[str]:
    if rows and title:
        yield title
    for line in table(rows, heads):
        yield f"  {line}"
