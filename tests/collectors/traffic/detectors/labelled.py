"""A labelled set of generated traffic: attacks, each with the kind that must be found, and benign traffic in which nothing loud may be.

`python -m tests.collectors.traffic.detectors.labelled` prints true and false positives by detector as the table of
`docs/design/traffic-detectors.md`; `test_labelled.py` holds the detectors to it. Every scene is made anew from a seed.
"""

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.detectors.kinds import KINDS
from collectors.traffic.detectors.options import DetectorOptions
from contracts.event import Severity
from tests.collectors.traffic.detectors.crowd import (
    ACK,
    FIN,
    PSH,
    RST,
    SYN,
    URG,
    Packet,
    Talk,
    arp,
    datagram,
    echo,
    hear,
    http,
    lookup,
    segment,
)

US, RESOLVER, GATEWAY, FAR = "10.0.0.10", "10.0.0.2", "10.0.0.1", "203.0.113.50"
OPTIONS = DetectorOptions(home=("10.0.0.0/8",))
Made = Callable[[random.Random], list[Packet]]


@dataclass(frozen=True)
class Scene:
    """`make` returns its packets; `expected` is the kind that must be found ("" for benign traffic)."""

    make: Made
    expected: str = ""


def _address(chance: random.Random) -> str:
    return f"{chance.randrange(20, 200)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"


# Attacks


def _scan(first: int, refused: float, open_ports: int = 0, gap: float = 0.01, count: int = 120) -> Made:
    """Try ports with a first packet of some flags; some are refused, some open, the others silent."""

    def make(chance: random.Random) -> list[Packet]:
        source, found = _address(chance), []
        ports = chance.sample(range(1, 20_000), count)
        for number, port in enumerate(ports):
            at, sport = number * gap * chance.uniform(0.5, 1.5), chance.randrange(30_000, 60_000)
            found.append((at, segment(source, US, sport, port, first, 1000)))
            if number < open_ports:
                found.append((at + 0.01, segment(US, source, port, sport, SYN | ACK, 5000, 1001)))
                found.append((at + 0.02, segment(source, US, sport, port, RST, 1001)))
            elif chance.random() < refused:
                found.append((at + 0.01, segment(US, source, port, sport, RST | ACK, 0, 1001)))
        return found

    return make


def _connect_scan(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(120):
        at, port, sport = number * 0.01, 100 + number, 40_000 + number
        if number % 30 == 0:
            found += Talk(source, US, port, at, sport, 0.005).open().close()
        else:
            found.append((at, segment(source, US, sport, port, SYN, 7)))
            found.append((at + 0.005, segment(US, source, port, sport, RST | ACK, 0, 8)))
    return found


def _udp_scan(chance: random.Random) -> list[Packet]:
    source = _address(chance)
    ports = chance.sample(range(1, 20_000), 100)
    return [(number * 0.05, datagram(source, US, 41_000, port, b"")) for number, port in enumerate(ports)]


def _slow_scan(chance: random.Random) -> list[Packet]:
    return _scan(SYN, 0.7, gap=20.0, count=120)(chance)


def _sweep(dport: int) -> Made:
    def make(chance: random.Random) -> list[Packet]:
        source = "10.0.0.66"
        hosts = [f"198.51.{chance.randrange(100)}.{number}" for number in range(1, 120)]
        return [
            (number * 0.05, segment(source, host, 40_000 + number, dport, SYN, 9)) for number, host in enumerate(hosts)
        ]

    return make


def _ping_sweep(chance: random.Random) -> list[Packet]:
    source = _address(chance)
    return [(number * 0.05, echo(source, f"10.0.3.{number}")) for number in range(1, 100)]


def _decoys(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    for _ in range(5):
        found += _scan(SYN, 0.9)(chance)
    return found


def _syn_flood(senders: int) -> Made:
    def make(chance: random.Random) -> list[Packet]:
        found: list[Packet] = []
        sources = [_address(chance) for _ in range(senders)]
        for number in range(3000):
            source, sport = chance.choice(sources), chance.randrange(1024, 65_000)
            found.append((number * 0.002, segment(source, US, sport, 443, SYN, number)))
            found.append((number * 0.002 + 0.0005, segment(US, source, 443, sport, SYN | ACK, 5, number + 1)))
        return found

    return make


def _flood(make_one: Callable[[random.Random, int], bytes], count: int) -> Made:
    return lambda chance: [(number * 0.0008, make_one(chance, number)) for number in range(count)]


def _http_flood(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(40):
        found += http(source, US, 0.01 * number, [f"/search?q={chance.random()}"] * 100)
    return found


def _connection_flood(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(2600):
        found += (
            Talk(source, US, 443, number * 0.003, 1024 + number, 0.002)
            .open()
            .ask(b"\x16\x03\x01")
            .answer(b"\x15")
            .close()
        )
    return found


def _slowloris(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(120):
        talk = Talk(source, US, 80, number * 0.02, 20_000 + number).open().ask(b"GET / HTTP/1.1\r\nHost: x\r\n")
        for _ in range(4):
            talk.wait(5).ask(b"X-a: b\r\n")
        found += talk.packets
    return found


def _ssh_failure(source: str, at: float, sport: int) -> list[Packet]:
    talk = Talk(source, US, 22, at, sport).open().answer(b"SSH-2.0-OpenSSH_9.2\r\n").ask(b"SSH-2.0-libssh_0.10\r\n")
    talk.answer(_ssh_packet(20, 700)).ask(_ssh_packet(20, 700)).ask(_ssh_packet(30, 60))
    talk.answer(_ssh_packet(31, 300) + b"\x00\x00\x00\x0c\x0a\x15" + bytes(10)).ask(
        b"\x00\x00\x00\x0c\x0a\x15" + bytes(10)
    )
    for _ in range(3):
        talk.ask(bytes(84)).answer(bytes(68))
    return talk.close()


def _ssh_packet(kind: int, size: int) -> bytes:
    body = bytes([6, kind]) + bytes(size) + bytes(6)
    return len(body).to_bytes(4) + body


def _ssh_guessing(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(30):
        found += _ssh_failure(source, number * 1.2, 30_000 + number)
    return found


def _ftp_guessing(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(8):
        talk = Talk(source, US, 21, number * 2.0, 31_000 + number).open().answer(b"220 FTP ready\r\n")
        for guess in range(3):
            talk.ask(b"USER root\r\n").answer(b"331 password\r\n").ask(f"PASS x{guess}\r\n".encode()).answer(
                b"530 no\r\n"
            )
        found += talk.close()
    return found


def _database_guessing(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(30):
        talk = Talk(source, US, 5432, number * 0.5, 31_000 + number).open()
        talk.ask(b"\x00\x00\x00\x29\x00\x03\x00\x00user\x00postgres\x00database\x00postgres\x00\x00")
        talk.answer(b"R\x00\x00\x00\x0c\x00\x00\x00\x05abcd").ask(b"p\x00\x00\x00\x28md5" + b"0" * 32 + b"\x00")
        talk.answer(b"E\x00\x00\x00\x65SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00")
        found += talk.close()
    return found


def _smtp_guessing(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(30):
        talk = Talk(source, US, 25, number * 0.5, 31_000 + number).open().answer(b"220 mx ESMTP\r\n").ask(b"EHLO x\r\n")
        talk.answer(b"250-mx\r\n250 AUTH PLAIN\r\n").ask(b"AUTH PLAIN AGFkbWluAHBhc3M=\r\n").answer(
            b"535 5.7.8 bad\r\n"
        )
        found += talk.close()
    return found


def _http_guessing(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    source = _address(chance)
    for number in range(6):
        found += http(
            source, US, number, ["/admin"] * 5, "401 Unauthorized", headers={"Authorization": "Basic YWRtaW46eA=="}
        )
    return found


def _guessed(chance: random.Random) -> list[Packet]:
    source, found = _address(chance), []
    for number in range(6):
        talk = Talk(source, US, 21, number * 2.0, 31_000 + number).open().answer(b"220 FTP ready\r\n")
        for guess in range(3):
            talk.ask(b"USER anna\r\n").answer(b"331 password\r\n").ask(f"PASS x{guess}\r\n".encode())
            talk.answer(b"530 no\r\n" if number < 5 or guess < 2 else b"230 welcome\r\n")
        found += talk.close()
    return found


def _sprayed(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    for number in range(80):
        source = _address(chance)
        for again in range(4):
            found += _ssh_failure(source, number * 6.0 + again, 30_000 + again)
    return found


def _spoofed(chance: random.Random) -> list[Packet]:
    del chance
    real, liar, ours = 0x020000000099, 0x0200000000EE, 0x020000000010
    found = [(0.0, arp(1, ours, US, 0, GATEWAY)), (0.001, arp(2, real, GATEWAY, ours, US))]
    return found + [(1.0 + 2 * number, arp(2, liar, GATEWAY, ours, US)) for number in range(6)]


def _tunnel(chance: random.Random) -> list[Packet]:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    found: list[Packet] = []
    for number in range(90):
        name = ".".join("".join(chance.choices(letters, k=50)) for _ in range(2)) + ".t.example.org"
        found += lookup("10.0.0.33", RESOLVER, number * 0.3, name, 16, size=120)
    return found


def _generated(chance: random.Random) -> list[Packet]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    found: list[Packet] = []
    for number in range(60):
        name = "".join(chance.choices(letters, k=chance.randrange(11, 20))) + chance.choice((".com", ".net", ".biz"))
        found += lookup("10.0.0.34", RESOLVER, number * 1.5, name, rcode=3)
    return found


def _implant(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    at = 0.0
    for number in range(40):
        found += Talk("10.0.0.35", FAR, 443, at, 33_000 + number).open().ask(bytes(200)).answer(bytes(100)).close()
        at += 60 * chance.uniform(0.9, 1.1)
    return found


def _exfiltration(chance: random.Random) -> list[Packet]:
    del chance
    # Large frames stand for many: 30 MB in 500 segments, with a limit to match.
    talk = Talk("10.0.0.36", FAR, 443, 0.0, 34_000, 0.001).open()
    for _ in range(500):
        talk.send(False, ACK | PSH, bytes(60_000), 65_535).send(True, ACK)
    return talk.close()


def _amplifier(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    for number in range(700):
        found += lookup(FAR, US, number * 0.02, "example.org", 255, size=3000, sport=1024 + number)
    del chance
    return found


def _telnet_like(chance: random.Random) -> list[Packet]:
    return http(_address(chance), US, 0.0, ["/"], headers={"Authorization": "Basic YWRtaW46eA=="})


def _dominator(chance: random.Random) -> list[Packet]:
    found: list[Packet] = []
    heavy = _address(chance)
    for number in range(35):
        found += http(heavy, US, number * 1.5, [f"/{number}"] * 100)
    for number in range(20):
        found += http(_address(chance), US, number * 3.0, ["/"] * 20)
    return [*found, (65.0, echo(FAR, US))]


def _dirbuster(chance: random.Random) -> list[Packet]:
    source = _address(chance)
    words = [f"/{chance.choice(('admin', 'backup', 'old', 'test', 'api'))}{number}" for number in range(150)]
    return http(source, US, 0.0, words, "404 Not Found")


def _injection(chance: random.Random) -> list[Packet]:
    texts = (
        "/?id=1%27%20or%20%271%27=%271",
        "/?id=1+union+select+1,2,3",
        "/?f=../../../etc/passwd",
        "/?x=%3Cscript%3Ealert(1)",
    )
    return http(_address(chance), US, 0.0, texts)


ATTACKS: dict[str, Scene] = {
    "SYN scan": Scene(_scan(SYN, 0.8, 3), "ports_scanned"),
    "SYN scan behind a filter": Scene(_scan(SYN, 0.0), "ports_scanned"),
    "connect scan": Scene(_connect_scan, "ports_scanned"),
    "FIN scan": Scene(_scan(FIN, 0.8), "ports_scanned"),
    "NULL scan": Scene(_scan(0, 0.8), "ports_scanned"),
    "XMAS scan": Scene(_scan(FIN | PSH | URG, 0.8), "ports_scanned"),
    "ACK scan": Scene(_scan(ACK, 0.9), "ports_scanned"),
    "Maimon scan": Scene(_scan(FIN | ACK, 0.9), "ports_scanned"),
    "UDP scan": Scene(_udp_scan, "ports_scanned"),
    "slow scan (three ports a minute)": Scene(_slow_scan, "ports_scanned"),
    "scan with decoys": Scene(_decoys, "ports_scanned"),
    "worm looking for port 445": Scene(_sweep(445), "hosts_scanned"),
    "ping sweep": Scene(_ping_sweep, "hosts_scanned"),
    "SYN flood, one sender": Scene(_syn_flood(1), "service_flooded"),
    "SYN flood, random senders": Scene(_syn_flood(500), "service_flooded"),
    "UDP flood": Scene(
        _flood(
            lambda chance, number: datagram(
                _address(chance), US, 1024 + number % 60_000, chance.randrange(65_535), bytes(100)
            ),
            7000,
        ),
        "service_flooded",
    ),
    "ICMP flood": Scene(_flood(lambda chance, number: echo(FAR, US, 8, number), 4000), "service_flooded"),
    "ACK flood": Scene(
        _flood(lambda chance, number: segment(_address(chance), US, 1024 + number % 60_000, 80, ACK, 5, 6), 6000),
        "service_flooded",
    ),
    "HTTP flood": Scene(_http_flood, "requests_flooded"),
    "connection flood": Scene(_connection_flood, "requests_flooded"),
    "slow headers": Scene(_slowloris, "connections_held"),
    "SSH guessing": Scene(_ssh_guessing, "logins_guessed"),
    "FTP guessing": Scene(_ftp_guessing, "logins_guessed"),
    "PostgreSQL guessing": Scene(_database_guessing, "logins_guessed"),
    "SMTP guessing": Scene(_smtp_guessing, "logins_guessed"),
    "HTTP Basic guessing": Scene(_http_guessing, "logins_guessed"),
    "SSH guessing from 80 addresses": Scene(_sprayed, "logins_sprayed"),
    "a password that was guessed": Scene(_guessed, "login_succeeded_after_guessing"),
    "ARP spoofing": Scene(_spoofed, "arp_spoofed"),
    "DNS tunnel": Scene(_tunnel, "dns_tunnelled"),
    "generated names": Scene(_generated, "dns_names_generated"),
    "implant calling home": Scene(_implant, "beacon_seen"),
    "exfiltration": Scene(_exfiltration, "outbound_volume_unusual"),
    "open resolver abused": Scene(_amplifier, "amplification_abused"),
    "password in plain text": Scene(_telnet_like, "credentials_in_plaintext"),
    "one client has most of the load": Scene(_dominator, "client_dominates"),
    "directory guessing": Scene(_dirbuster, "web_probed"),
    "injections": Scene(_injection, "web_probed"),
}


def main() -> int:
    """Print the tables."""
    from tests.collectors.traffic.detectors.benign import BENIGN

    rows, wrong = tables({**ATTACKS, **BENIGN})
    print("\n".join(rows))
    return wrong


def tables(scenes: dict[str, Scene], seeds: int = 3) -> tuple[list[str], int]:
    """Return both tables as text, and how many scenes went wrong."""
    true: dict[str, int] = {kind.name: 0 for kind in KINDS}
    missed, loud, quiet, aside = dict(true), dict(true), dict(true), dict(true)
    wrong = 0
    for name, scene in scenes.items():
        for seed in range(seeds):
            found = run(scene, seed)
            expected = f"traffic.{scene.expected}"
            hit = {one.kind.name for one in found}
            if scene.expected:
                (true if expected in hit else missed)[expected] += 1
                for other in hit - {expected}:
                    aside[other] += 1
            for one in found if not scene.expected else ():
                (loud if one.severity > Severity.LOW else quiet)[one.kind.name] += 1
            bad = (scene.expected and expected not in hit) or (
                not scene.expected and any(one.severity > Severity.LOW for one in found)
            )
            wrong += bool(bad)
            if bad:
                print(f"WRONG {name} (seed {seed}): {sorted(hit)}", file=sys.stderr)
    rows = [
        "| kind | true positives | missed | beside another attack | false positives | of low severity |",
        "|---|---|---|---|---|---|",
    ]
    rows += [
        f"| `{name}` | {true[name]} | {missed[name]} | {aside[name]} | {loud[name]} | {quiet[name]} |" for name in true
    ]
    return rows, wrong


def run(scene: Scene, seed: int) -> list[Finding]:
    """Return what is found in a scene."""
    options = OPTIONS
    if scene.expected == "outbound_volume_unusual":
        options = DetectorOptions(home=OPTIONS.home, volume=type(OPTIONS.volume)(sent=20_000_000))
    return hear(scene.make(random.Random(seed)), options)


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
