"""What programs of cgroups leave open: they see the packets of the processes in them alone, and nobody knows what they let through.

So systemd does IPAddressDeny=, for a unit or a slice. The evaluator knows no processes (it names programs of the root, which see
everybody's packets); whose listener it is, is known here.
"""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec.structs import replace

from contracts.codec import UNDECODABLE
from contracts.subjects import datapath, ports
from contracts.subjects.exposure import Exposure

_ROOT = ("", "/")
_CONTAINERS = ("machine.slice", "docker", "kubepods", "lxc")


class Program(msgspec.Struct):
    """A program of a cgroup as its row's document has it: of one `unit`, or of all below `place`."""

    kind: str = ""
    place: str = ""
    unit: str = ""
    text: str = ""

    def concerns(self, listener: ports.Listener) -> bool:
        """Say whether the listener's process may be in that cgroup. Only the first slice is told apart: units do not say theirs."""
        if self.unit:
            return listener.unit == self.unit
        first = self.place.strip("/").partition("/")[0]
        if first == "system.slice":
            return not listener.unit.startswith("session-")
        if first == "user.slice":
            return not listener.container and not listener.unit.endswith(".service")
        return bool(listener.container) if first.startswith(_CONTAINERS) else True


def doubted(
    rows: Mapping[str, Exposure], ways: Mapping[str, datapath.Row], listeners: Mapping[str, ports.Listener]
) -> dict[str, Exposure]:
    """Return `rows`, uncertain where they are reachable but for what a program of the listener's cgroup may do."""
    programs = of_cgroups(ways)
    if not programs:
        return dict(rows)
    return {key: _doubted(row, programs, listeners.get(row.listener)) for key, row in rows.items()}


def of_cgroups(ways: Mapping[str, datapath.Row]) -> tuple[Program, ...]:
    """Return the programs of cgroups below the root."""
    found: list[Program] = []
    for row in ways.values():
        if row.what == "program":
            try:
                program = msgspec.json.decode(row.document, type=Program)
            except UNDECODABLE:
                continue  # of XDP or tc, which the evaluator names
            if program.kind == "cgroup" and program.place not in _ROOT:
                found.append(replace(program, text=row.text))
    return tuple(found)


def _doubted(row: Exposure, programs: Sequence[Program], listener: ports.Listener | None) -> Exposure:
    if listener is None or row.verdict != "reachable":
        return row
    texts = tuple(program.text for program in programs if program.concerns(listener))
    return replace(row, verdict="uncertain", unknown=(*row.unknown, *texts)) if texts else row
