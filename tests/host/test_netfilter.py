"""The parts together, and what a machine without connection tracking comes to."""

import pytest

from contracts.errors import Unavailable, Why
from contracts.netfilter import Flow
from host import conntrack, netfilter, sock_destroy
from host.netfilter import LinuxNetfilter

FLOW = Flow(source="192.0.2.1", destination="192.0.2.2", protocol=6)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    entry = conntrack.Entry(FLOW, b"", 2)
    monkeypatch.setattr(conntrack, "flows", lambda _: [entry])
    monkeypatch.setattr(conntrack, "delete", lambda _: [])
    monkeypatch.setattr(sock_destroy, "close", lambda _: (2, ""))
    return {"entry": entry}


def test_a_cut_says_how_much_was_cut(parts: dict[str, object]) -> None:
    cut = LinuxNetfilter().cut("192.0.2.1")
    assert (cut.deleted, cut.sockets, cut.kept, cut.blind) == (1, 2, (), ())


def test_a_flow_that_the_kernel_keeps_is_named(parts: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conntrack, "delete", lambda entries: entries)
    cut = LinuxNetfilter().cut("192.0.2.1")
    assert (cut.deleted, cut.kept) == (0, (FLOW,))


def test_without_connection_tracking_there_is_nothing_to_cut(
    parts: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_: str) -> list[object]:
        raise Unavailable(Why.NOT_PRESENT, "no tracking")

    monkeypatch.setattr(conntrack, "flows", absent)
    assert LinuxNetfilter().cut("192.0.2.1").blind == ()


def test_what_cannot_be_cut_is_said(parts: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_: str) -> tuple[int, str]:
        raise Unavailable(Why.PERMISSION, "may not")

    monkeypatch.setattr(sock_destroy, "close", forbidden)
    monkeypatch.setattr(netfilter.conntrack, "flows", forbidden)
    assert LinuxNetfilter().cut("192.0.2.1").blind == ("may not", "may not")
