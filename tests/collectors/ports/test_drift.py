"""Random changes of a server never yield an event that contradicts its rows."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from collectors.ports.drift import Drift, carried
from contracts.host import Sockets
from contracts.subjects.ports import Listener

OWNERS = st.sampled_from(["", "root /usr/sbin/sshd", "www-data /usr/sbin/nginx"])


@st.composite
def listeners(draw: st.DrawFn) -> Mapping[str, Listener]:
    ports = draw(st.sets(st.integers(1, 12)))
    rows = {}
    for port in ports:
        owner = draw(OWNERS)
        rows[f"tcp/0.0.0.0:{port}"] = Listener(
            protocol="tcp", family=4, address="0.0.0.0", port=port, owner_known=bool(owner), last_owner=owner
        )
    return rows


@given(listeners(), listeners())
def test_events_are_exactly_the_difference(before: Mapping[str, Listener], after: Mapping[str, Listener]) -> None:
    drift = Drift(before, 0, ignore_clients=True, grace_ms=1000)
    drift.settle(dict(after), {})
    told = {
        kind: {event.key for event in drift.events if event.kind == f"ports.listener_{kind}"}
        for kind in ("opened", "closed", "changed")
    }
    assert told["opened"] == after.keys() - before.keys()
    assert told["closed"] == before.keys() - after.keys()
    assert told["changed"] == {
        key
        for key in before.keys() & after.keys()
        if before[key].last_owner and after[key].last_owner and before[key].last_owner != after[key].last_owner
    }


def test_rows_of_unseen_namespaces_are_carried_and_others_are_not() -> None:
    row = Listener(protocol="tcp", family=4, address="0.0.0.0", port=1, netns=7)
    before = {"tcp/0.0.0.0:1#7": row, "tcp/0.0.0.0:2": row}
    assert carried(before, {}, Sockets(sockets=(), home=1, namespaces=(1,), all_namespaces=False)) == {
        "tcp/0.0.0.0:1#7": row
    }
    assert carried(before, {}, Sockets(sockets=(), home=1, namespaces=(1, 7), all_namespaces=False)) == {}
    assert carried(before, {}, Sockets(sockets=(), home=1, namespaces=(1,))) == {}
