"""The plain picture: who -> which chain -> what."""

import msgspec

from contracts.exposure_picture import MOST_NAMED, flows, lines
from contracts.subjects.exposure import Exposure

SSH = Exposure(
    vantage="internet", family=4, protocol="tcp", address="198.51.100.5", port=22, verdict="reachable", interface="eth0",
    process="sshd", chain="inet filter input", why="tcp dport 22 accept",
)  # fmt: skip


def row(**changes) -> Exposure:
    return msgspec.structs.replace(SSH, **changes)


def drawn(*rows: Exposure) -> list[str]:
    return list(lines(flows(rows)))


def test_a_line_goes_from_who_by_the_chain_to_what() -> None:
    assert drawn(SSH) == ["internet --> inet filter input --> 22/tcp sshd"]


def test_listeners_behind_one_chain_are_one_line_in_the_order_of_their_ports() -> None:
    assert drawn(row(port=443, process="nginx"), SSH, row(family=6, address="2001:db8::5")) == [
        "internet --> inet filter input --> 22/tcp sshd, 443/tcp nginx"
    ]


def test_verdicts_are_told_without_colour() -> None:
    text = "\n".join(
        drawn(row(verdict="blocked"), row(verdict="uncertain", unknown=("limit",)), row(verdict="odd", port=1))
    )
    assert "--|" in text
    assert "-?- not known: limit" in text


def test_the_internet_comes_first_and_this_host_last() -> None:
    found = drawn(row(vantage="loopback", interface=""), row(vantage="office"), SSH)
    assert [line.split(" -->")[0].strip() for line in found] == ["internet", "office", "loopback"]


def test_several_networks_at_one_interface_are_one() -> None:
    networks = (
        row(vantage="eth1 10.0.0.0/8", interface="eth1"),
        row(vantage="eth1 fe80::/64", interface="eth1", family=6),
    )
    assert drawn(*networks) == ["network eth1 --> inet filter input --> 22/tcp sshd"]


def test_what_goes_past_a_front_end_says_so_and_where_it_ends() -> None:
    (line,) = drawn(
        row(port=8080, process="docker-proxy", delivered="172.17.0.2:80", bypasses="ufw", chain="ip filter DOCKER")
    )
    assert line == "internet --> ip filter DOCKER (past ufw) --> 8080/tcp docker-proxy to 172.17.0.2:80"


def test_very_many_are_counted() -> None:
    (line,) = drawn(*(row(port=port, process="") for port in range(1, MOST_NAMED + 4)))
    assert line.endswith(f"{MOST_NAMED}/tcp and 3 more")


def test_a_fact_that_decides_is_told_by_its_first_words() -> None:
    (line,) = drawn(row(verdict="blocked", chain="", why="martian: 10.0.0.9 to 127.0.0.1 by eth0"))
    assert line == "internet --| martian (IPv4) --| 22/tcp sshd"
