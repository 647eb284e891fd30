"""What a judge sees tells a baseline that was never accepted from an empty one."""

from contracts.judge import View
from contracts.record import Record
from contracts.snapshot import Snapshot


class Row(Record):
    value: int


def test_a_view_tells_never_accepted_from_accepted_as_empty() -> None:
    view = View(
        snapshots={"ports": Snapshot(subject="ports", revision=4, rows={"a": Row(value=1)})},
        accepted={"ports": Snapshot(subject="ports"), "firewall": Snapshot(subject="firewall", revision=2)},
        now_ms=5,
    )
    assert view.accepted["ports"].first
    assert not view.accepted["firewall"].first
    assert view.accepted["firewall"].rows == {}
