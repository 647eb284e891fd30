"""Whole captures: protocols found by content, expectations, changes in order; and tshark as the oracle on real captures."""

import hashlib
import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet
from scapy.utils import wrpcap

from tests.collectors.traffic.protocols.replay import Heard, replay
from tests.collectors.traffic.protocols.seeds import FTP, HTTP, SEEDS, Said, client_hello, dns_message

PEERS = Path(__file__).resolve().parents[5] / "shared" / "peers"


def session(
    said: Said, sport: int = 40_000, dport: int = 80, client: str = "10.0.0.1", server: str = "10.0.0.2"
) -> list[Packet]:
    """Return the packets of a TCP session in which both sides say what they say, every packet acknowledged by the next."""
    there = Ether() / IP(src=client, dst=server) / TCP(sport=sport, dport=dport)
    back = Ether() / IP(src=server, dst=client) / TCP(sport=dport, dport=sport)
    at = [1000, 5000]
    packets = []

    def send(side: int, flags: str, data: bytes = b"", size: int = 0) -> None:
        packet = (back if side else there).copy()
        packet[TCP].flags, packet[TCP].seq, packet[TCP].ack = flags, at[side], at[1 - side] if "A" in flags else 0
        packets.append(packet / data)
        at[side] += len(data) + size

    send(0, "S", size=1)
    send(1, "SA", size=1)
    send(0, "A")
    for side, data in said:
        send(int(side), "PA", data)
        send(1 - int(side), "A")
    send(0, "FA", size=1)
    send(1, "FA", size=1)
    send(0, "A")
    return packets


def heard(tmp_path: Path, packets: list[Packet]) -> Heard:
    path = tmp_path / "some.pcap"
    wrpcap(str(path), packets)
    return replay(path)


def test_protocols_are_found_by_content_on_odd_ports(tmp_path: Path) -> None:
    packets: list[Packet] = []
    names = ["http", "tls", "ssh", "smtp", "ftp"]
    for number, name in enumerate(names):
        packets += session(SEEDS[name][0], 40_000 + number, 20_000 + number)
    found = heard(tmp_path, packets)
    assert [one.protocol for one in found.conversations] == names
    assert found.protocols.counts.conversations == Counter(names)


def test_changes_come_in_the_order_of_packets_and_say_which_way(tmp_path: Path) -> None:
    found = heard(tmp_path, session(HTTP[0]) + session(SEEDS["tls"][0], 41_000))
    rows = [change.row for change in found.changes]
    assert rows == sorted(rows)
    first = found.changes[0]
    assert first.transaction is None and first.conversation.protocol == "http" and not first.to_client
    assert [change.to_client for change in found.changes if change.transaction is found.transactions[0]] == [
        False,
        True,
    ]


def test_what_nothing_recognises_fails_and_is_counted(tmp_path: Path) -> None:
    found = heard(tmp_path, session(((False, bytes(range(128, 250)) * 3), (True, bytes(range(130, 250)) * 3))))
    assert [one.protocol for one in found.conversations] == ["failed"]
    assert found.protocols.counts.conversations["failed"] == 1


def test_sides_that_disagree_are_told(tmp_path: Path) -> None:
    mismatch = heard(tmp_path, session(((False, b"GET / HTTP/1.0\r\n\r\n"), (True, b"SSH-2.0-x\r\n"))))
    assert mismatch.conversations[0].events == ["applayer_mismatch_protocol_both_directions"]
    alone = heard(
        tmp_path, session(((False, b"GET / HTTP/1.0\r\n\r\n"), (True, b"\x80\x81 nothing known at all, " * 9)))
    )
    assert alone.conversations[0].events == ["applayer_detect_protocol_only_one_direction"]
    wrong = heard(tmp_path, session(((True, b"HTTP/1.0 200 OK\r\n\r\n"), (False, b"GET / HTTP/1.0\r\n\r\n"))))
    assert "applayer_wrong_direction_first_data" in wrong.conversations[0].events


def test_a_file_over_an_announced_data_connection_has_its_name(tmp_path: Path) -> None:
    control = session(FTP[0], dport=21)
    data = session(((True, b"the file"),), sport=50_000, dport=1025)
    found = heard(tmp_path, control[:-5] + data + control[-5:])
    assert "ftp-data" in [one.protocol for one in found.conversations]
    assert (found.buffers("file.name", True), found.buffers("file.data", True)) == ([b"a.txt"], [b"the file"])


def test_tls_behind_starttls_is_read(tmp_path: Path) -> None:
    said = (
        (True, b"220 x ESMTP\r\n"),
        (False, b"EHLO a\r\n"),
        (True, b"250 STARTTLS\r\n"),
        (False, b"STARTTLS\r\n"),
        (True, b"220 go\r\n"),
    )
    found = heard(tmp_path, session((*said, (False, client_hello(b"mail.example"))), dport=25))
    assert found.buffers("tls.sni", False) == [b"mail.example"]
    assert [(one.protocol, one.original) for one in found.conversations] == [("tls", "smtp")]


def test_what_is_no_tls_behind_starttls_is_told(tmp_path: Path) -> None:
    said = (
        (True, b"220 x ESMTP\r\n"),
        (False, b"STARTTLS\r\n"),
        (True, b"220 go\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
    )
    found = heard(tmp_path, session(said, dport=25))
    assert [(one.protocol, one.original) for one in found.conversations] == [("http", "smtp")]
    assert "applayer_no_tls_after_starttls" in found.conversations[0].events
    assert found.buffers("http.response_body", True) == [b"x"]


def test_datagrams_are_conversations(tmp_path: Path) -> None:
    there = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40_000, dport=53)
    back = Ether() / IP(src="10.0.0.2", dst="10.0.0.1") / UDP(sport=53, dport=40_000)
    found = heard(tmp_path, [there / dns_message(response=False), back / dns_message()])
    assert found.buffers("dns.query", False) == [b"www.example.org"]
    assert len(found.buffers("dns.answer.name", True)) == 2
    junk = heard(tmp_path, [there / b"\xfe" * 40 for _ in range(9)])
    assert junk.protocols.counts.conversations == {"dns": 1} or junk.protocols.counts.conversations == {"failed": 1}


def test_bytes_that_no_parser_reads_are_counted(tmp_path: Path) -> None:
    text = b"RFB 003.008\n"
    said = ((True, text), (False, text), (True, b"\x01" * 300), (False, b"\x02" * 200), (True, b"\x03" * 100))
    counts = heard(tmp_path, session(said)).protocols.counts
    assert (counts.conversations, counts.bytes_seen, counts.bytes_unparsed) == ({"rfb": 1}, 24 + 600, 600)
    there = Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=40_000, dport=9)
    counts = heard(tmp_path, [there / (b"\xfe" * 40) for _ in range(9)]).protocols.counts
    assert (counts.bytes_seen, counts.bytes_unparsed) == (9 * 40, 5 * 40)


def test_a_defect_in_a_parser_ends_that_conversation_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise ValueError("unsupported hash type")

    monkeypatch.setattr(hashlib, "md5", unknown)
    found = heard(tmp_path, session(SEEDS["ssh"][0]) + session(HTTP[0], 41_000))
    assert found.protocols.counts.parsers_broken == 1
    assert found.buffers("http.method", False) == [b"GET"]


def test_flows_that_ended_are_forgotten(tmp_path: Path) -> None:
    found = heard(tmp_path, session(HTTP[0]))
    assert found.protocols.conversation(found.conversations[0].slot) is not None
    found.protocols._gone.append(found.conversations[0].slot)
    found.protocols._settle()
    assert found.protocols.conversation(found.conversations[0].slot) is None


SHOWN = {
    "tls.sni": "tls.handshake.extensions_server_name",
    "ja3.hash": "tls.handshake.ja3",
    "ja3s.hash": "tls.handshake.ja3s",
    "dns.query": "dns.qry.name",
    "http.uri.raw": "http.request.uri",
    "http.stat_code": "http.response.code",
    "ssh.hassh": "ssh.kex.hassh",
}
"""Our buffers, and the fields by which tshark shows the same."""


def shown(path: Path) -> dict[str, Counter[bytes]]:
    """Return how often tshark shows each field's values (names of queries alone, not of answers)."""
    command = [
        "tshark",
        "-r",
        str(path),
        "-T",
        "fields",
        "-E",
        "separator=/t",
        "-E",
        "aggregator=|",
        "-e",
        "dns.flags.response",
    ]
    command += ["-Y", "(tcp && (tls.handshake || http || ssh)) || (dns && udp.port == 53)"]
    for field in SHOWN.values():
        command += ["-e", field]
    counters: dict[str, Counter[bytes]] = {name: Counter() for name in SHOWN}
    for line in subprocess.run(command, capture_output=True, check=True).stdout.splitlines():
        answers, *values = line.split(b"\t")
        for name, value in zip(SHOWN, values, strict=True):
            if value and not (name == "dns.query" and answers != b"0"):
                counters[name].update(value.split(b"|"))
    return counters


CAPTURES = ("tls--tls-random", "tls--tls-client-cert-01", "tls--tls-client-hello-frag-01", "tls--tls-issuer-zero", "ssh-hassh-only",
            "dns--dns-query--dns-detect-query-01", "cond-log-http-testmyids", "http-evader--http-evader-000")  # fmt: skip


def test_tshark_reads_the_same_of_real_traffic(tmp_path: Path) -> None:
    """Real captures of the peers: names, fingerprints and targets that tshark shows are shown here, too, each as often."""
    cases = PEERS / "suricata-verify" / "cases"
    captures = [cases / name / json.loads((cases / name / "case.json").read_text())["pcap"] for name in CAPTURES]
    path = tmp_path / "real.pcapng"
    subprocess.run(["mergecap", "-a", "-w", str(path), *map(str, captures)], check=True)
    found = replay(path, midstream=True)
    for name, theirs in shown(path).items():
        assert sum(theirs.values()), name
        assert Counter(found.buffers(name, name in ("ja3s.hash", "http.stat_code"))) == theirs, name
