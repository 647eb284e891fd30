"""What programs of a unit's cgroup leave open: they see the packets of that unit's processes alone, and nobody knows what they let through.

So systemd does IPAddressDeny=. The evaluator knows no processes; whose listener it is, is known here.
"""

from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from contracts.subjects import datapath, ports
from contracts.subjects.exposure import Exposure


class _Program(msgspec.Struct):
    unit: str = ""


def doubted(
    rows: Mapping[str, Exposure], ways: Mapping[str, datapath.Row], listeners: Mapping[str, ports.Listener]
) -> dict[str, Exposure]:
    """Return `rows`, uncertain where they are reachable but for what a program of the listener's unit may do."""
    programs = by_unit(ways)
    if not programs:
        return dict(rows)
    return {key: _doubted(row, programs, listeners) for key, row in rows.items()}


def by_unit(ways: Mapping[str, datapath.Row]) -> dict[str, tuple[str, ...]]:
    """Return what names the programs of each unit."""
    found: dict[str, tuple[str, ...]] = {}
    for key, row in ways.items():
        if row.what == "program" and key.startswith("program unit "):
            try:
                unit = msgspec.json.decode(row.document, type=_Program).unit
            except msgspec.DecodeError:
                continue  # the evaluator names rows that it cannot read
            found[unit] = (*found.get(unit, ()), row.text)
    return found


def _doubted(
    row: Exposure, programs: Mapping[str, tuple[str, ...]], listeners: Mapping[str, ports.Listener]
) -> Exposure:
    listener = listeners.get(row.listener)
    texts = programs.get(listener.unit, ()) if listener is not None and listener.unit else ()
    if not texts or row.verdict != "reachable":
        return row
    return replace(row, verdict="uncertain", unknown=(*row.unknown, *texts))
