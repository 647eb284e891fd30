"""Outbound volume: what leaves, for whom, and what is usual."""

from collectors.traffic.detectors.options import DetectorOptions, VolumeOptions
from tests.collectors.traffic.detectors.crowd import ACK, PSH, Packet, Talk, hear

OPTIONS = DetectorOptions(home=("10.0.0.0/8",), volume=VolumeOptions(sent=5_000_000, served=10_000_000))
US, THEM = "10.0.0.10", "203.0.113.9"


def transfer(megabytes: float, at: float = 0.0, client: str = US, server: str = THEM, up: bool = True) -> list[Packet]:
    """Return an upload, or a download, in large segments."""
    talk = Talk(client, server, 22, at, 3000 + int(at) % 1000, 0.001).open()
    for _ in range(int(megabytes * 1e6 / 50_000)):
        talk.send(not up, ACK | PSH, bytes(50_000), 65_535).send(up, ACK)
    return talk.close()


def found(packets: list[Packet]) -> list[tuple[str, str, str]]:
    """Return local end, subject and method of volumes."""
    return [(one.local, one.subject, one.method) for one in hear(packets, OPTIONS) if "volume" in one.kind.name]


def test_an_upload_beyond_the_limit_is_told_with_both_ends() -> None:
    assert found(transfer(4)) == []
    assert found(transfer(6)) == [(US, f"{THEM}:22/tcp", "sent")]


def test_what_is_fetched_from_us_has_a_limit_of_its_own() -> None:
    assert found(transfer(8, client=THEM, server=US, up=False)) == []
    assert found(transfer(12, client=THEM, server=US, up=False)) == [(f"{US}:22/tcp", THEM, "served")]


def test_downloads_and_what_stays_inside_do_not_count() -> None:
    assert found(transfer(30, up=False)) == []
    assert found(transfer(30, server="10.0.0.99")) == []


def test_what_a_peer_always_gets_is_usual() -> None:
    nightly = [packet for day in range(5) for packet in transfer(6, day * 86_400.0)]
    assert len(found(nightly)) == 1, "the first time only"
    assert len(found(nightly + transfer(60, 6 * 86_400.0))) == 2, "ten times as much is not usual"


def test_many_small_connections_add_up() -> None:
    assert found([p for n in range(70) for p in transfer(0.1, n * 10.0)]) == [(US, f"{THEM}:22/tcp", "sent")]
