"""The benign half of the labelled set: what servers and networks do all day, in which no detector may find anything above low severity."""

import random

from tests.collectors.traffic.detectors.crowd import (
    ACK,
    PSH,
    RST,
    SYN,
    Packet,
    Talk,
    arp,
    datagram,
    echo,
    http,
    lookup,
    segment,
)
from tests.collectors.traffic.detectors.labelled import FAR, GATEWAY, RESOLVER, US, Scene, _address

OTHER = "10.0.0.20"


def _apt(chance: random.Random) -> list[Packet]:
    """Update and upgrade: names, then hundreds of packages over two connections; a mirror that is down is tried, too."""
    found = lookup(OTHER, RESOLVER, 0.0, "deb.example.org")
    found += http(
        OTHER, FAR, 0.1, [f"/debian/pool/main/p/pack-{number}_1.2-3%2bdeb12u1_amd64.deb" for number in range(300)]
    )
    found += http(OTHER, FAR, 0.2, ["/debian/dists/stable/InRelease"] * 30, "304 Not Modified")
    found += [
        (1.0 + attempt, segment(OTHER, "203.0.113.51", 40_000 + chance.randrange(100), 80, SYN, 5))
        for attempt in range(5)
    ]
    return found


def _browsing(chance: random.Random) -> list[Packet]:
    """Thirty people behind one address read pages: many names, many servers, several connections each, some never used."""
    found: list[Packet] = []
    for number in range(150):
        at, server = chance.uniform(0, 60), _address(chance)
        found += lookup("10.0.0.40", RESOLVER, at, f"www.{chance.choice(('shop', 'news', 'cdn', 'img'))}{number}.com")
        for connection in range(3):
            talk = Talk("10.0.0.40", server, 443, at + 0.1, 20_000 + 3 * number + connection).open()
            if connection < 2:
                talk.ask(b"\x16\x03\x01" + bytes(300)).answer(b"\x16\x03\x03" + bytes(3000)).ask(bytes(800)).answer(
                    bytes(20_000)
                )
            found += talk.wait(chance.uniform(0.1, 3)).close()
    return found


def _site(chance: random.Random) -> list[Packet]:
    """A busy web server: two hundred clients with pages, images, some errors, and forms."""
    found: list[Packet] = []
    for _ in range(200):
        paths = [f"/article/{chance.randrange(500)}?page={chance.randrange(9)}&q=caf%C3%A9+au+lait" for _ in range(10)]
        found += http(_address(chance), US, chance.uniform(0, 50), [*paths, "/img/a.png", "/style.css?v=1.2"])
    for _ in range(20):
        found += http(_address(chance), US, chance.uniform(0, 50), ["/favicon.ico", "/old-page"], "404 Not Found")
    return [*found, (65.0, echo(FAR, US))]


def _git(chance: random.Random) -> list[Packet]:
    """A developer fetches over SSH every few seconds: short sessions that begin with a key that the server does not know."""
    del chance
    return [packet for number in range(25) for packet in _ssh_session(OTHER, number * 2.0, 30_000 + number, 3_000)]


def _ssh_session(client: str, at: float, sport: int, size: int, keys: int = 1) -> list[Packet]:
    talk = Talk(client, US, 22, at, sport).open().answer(b"SSH-2.0-OpenSSH_9.2\r\n").ask(b"SSH-2.0-OpenSSH_9.2\r\n")
    talk.answer(_ssh_packet(20, 1000)).ask(_ssh_packet(20, 1400)).ask(_ssh_packet(30, 60))
    talk.answer(_ssh_packet(31, 300) + b"\x00\x00\x00\x0c\x0a\x15" + bytes(10)).ask(
        b"\x00\x00\x00\x0c\x0a\x15" + bytes(10)
    )
    talk.ask(bytes(44)).answer(bytes(44))
    for _ in range(keys):
        talk.ask(bytes(84)).answer(bytes(68))
    return talk.ask(bytes(500)).answer(bytes(300)).ask(bytes(150)).answer(bytes(size)).close()


def _ssh_packet(kind: int, size: int) -> bytes:
    body = bytes([6, kind]) + bytes(size) + bytes(6)
    return len(body).to_bytes(4) + body


def _deployment(chance: random.Random) -> list[Packet]:
    """A deployment tool opens twenty sessions at once, again and again."""
    del chance
    return [
        packet
        for turn in range(4)
        for fork in range(20)
        for packet in _ssh_session(OTHER, turn * 8 + fork * 0.01, 30_000 + turn * 20 + fork, 900, keys=3)
    ]


def _mistyped(chance: random.Random) -> list[Packet]:
    """Somebody mistypes the password twice, then gets in."""
    del chance
    talk = Talk(OTHER, US, 21, 0.0).open().answer(b"220 FTP\r\n")
    for guess in (b"a", b"b"):
        talk.ask(b"USER anna\r\n").answer(b"331 x\r\n").ask(b"PASS " + guess + b"\r\n").wait(3).answer(b"530 no\r\n")
    return talk.ask(b"USER anna\r\n").answer(b"331 x\r\n").ask(b"PASS c\r\n").answer(b"230 welcome\r\n").close()


def _transfer(chance: random.Random) -> list[Packet]:
    """One large download, and one large upload, at full speed."""
    del chance
    down = Talk(FAR, US, 80, 0.0, 40_000, 0.0002).open().ask(b"GET /large.iso HTTP/1.1\r\nHost: x\r\n\r\n")
    down.send(True, ACK | PSH, b"HTTP/1.1 200 OK\r\nContent-Length: 84000000\r\n\r\n")
    for _ in range(1400):
        down.send(True, ACK, bytes(60_000)).send(False, ACK)
    up = Talk(OTHER, FAR, 22, 0.1, 40_001, 0.0002).open()
    for _ in range(700):
        up.send(False, ACK, bytes(60_000)).send(True, ACK)
    return down.close() + up.close()


def _monitoring(chance: random.Random) -> list[Packet]:
    """A monitor asks thirty services every fifteen seconds, some by a bare connection, four of them down; pings beside it."""
    found: list[Packet] = []
    for turn in range(20):
        for number in range(30):
            at, host = turn * 15 + number * 0.1 + chance.uniform(0, 0.05), f"10.0.1.{number}"
            if number < 4:
                found.append((at, segment("10.0.0.5", host, 30_000 + turn, 9100, SYN, 5)))
            elif number < 15:
                found += Talk("10.0.0.5", host, 9100, at, 30_000 + turn).open().close()
            else:
                found += http("10.0.0.5", host, at, ["/metrics"], port=9100)
            found += [(at, echo("10.0.0.5", host, 8, turn)), (at + 0.001, echo(host, "10.0.0.5", 0, turn))]
    return found


def _keep_alive(chance: random.Random) -> list[Packet]:
    """Connections that idle for long with keep-alives: pools of a database and of a proxy."""
    del chance
    found: list[Packet] = []
    for number in range(150):
        talk = Talk(OTHER, US, 5432 if number % 2 else 8080, number * 0.01, 41_000 + number).open()
        talk.ask(b"\x00\x00\x00\x08\x00\x03\x00\x00user" if number % 2 else b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        talk.answer(
            b"R\x00\x00\x00\x08\x00\x00\x00\x00" if number % 2 else b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        )
        for _ in range(4):
            talk.wait(15).send(True, ACK).send(False, ACK)
        found += talk.packets
    return found


def _health_checks(chance: random.Random) -> list[Packet]:
    """A load balancer opens and closes a connection to eight ports every two seconds; one backend restarts for ten seconds."""
    del chance
    found: list[Packet] = []
    for turn in range(60):
        for number in range(8):
            at, sport = turn * 2.0 + number * 0.01, 20_000 + turn * 8 + number
            if number == 3 and 10 <= turn < 15:
                found.append((at, segment("10.0.0.6", US, sport, 8003, SYN, 5)))
                found.append((at + 0.001, segment(US, "10.0.0.6", 8003, sport, RST | ACK, 0, 6)))
            else:
                found += Talk("10.0.0.6", US, 8000 + number, at, sport, 0.001).open().close()
    return found


def _crashed(chance: random.Random) -> list[Packet]:
    """A busy service has crashed: all its clients are refused, and try again."""
    found: list[Packet] = []
    for number in range(2500):
        source, sport, at = _address(chance), 1024 + number, number * 0.004
        found.append((at, segment(source, US, sport, 443, SYN, 5)))
        found.append((at + 0.001, segment(US, source, 443, sport, RST | ACK, 0, 6)))
    return found


def _busy_tls(chance: random.Random) -> list[Packet]:
    """Two thousand clients connect within ten seconds, with a tenth of a second between SYN and acknowledgement."""
    found: list[Packet] = []
    for number in range(2000):
        talk = Talk(_address(chance), US, 443, number * 0.005, 1024 + number, 0.05).open()
        found += talk.ask(b"\x16\x03\x01" + bytes(250)).answer(b"\x16\x03\x03" + bytes(1200)).close()
    return found


def _resolver(chance: random.Random) -> list[Packet]:
    """A resolver asks hundreds of servers about many names, some of which do not exist or do not answer; mail servers ask blocklists."""
    found: list[Packet] = []
    words = ("mail", "shop", "garden", "school", "weather", "travel", "music", "football", "kitchen", "planet")
    for number in range(600):
        name = f"{chance.choice(words)}{chance.choice(words)}.{chance.choice(('org', 'com', 'net', 'co.uk'))}"
        server, at = _address(chance), number * 0.1
        pair = lookup(RESOLVER, server, at, f"www.{name}", rcode=3 if number % 12 == 0 else 0, size=200)
        found += pair[:1] if number % 25 == 0 else pair
    for number in range(200):
        name = ".".join(str(chance.randrange(256)) for _ in range(4)) + ".zen.blocklist.org"
        found += lookup(RESOLVER, FAR, number * 0.3, name, rcode=3)
        found += lookup(RESOLVER, FAR, number * 0.3, f"{number}.2.0.192.in-addr.arpa", 12, size=40)
    return found


def _long_names(chance: random.Random) -> list[Packet]:
    """Clients of clouds and content networks: long names, but few different ones of a domain."""
    names = [f"internal-app-{chance.randrange(10**9)}-{number}.eu-west-1.elb.amazonaws.com" for number in range(15)]
    names += [f"rr{number}---sn-4g5e{number}ndz.googlevideo.com" for number in range(20)]
    return [
        packet
        for turn in range(10)
        for n, name in enumerate(names)
        for packet in lookup(OTHER, RESOLVER, turn * 5 + n * 0.05, name)
    ]


def _clocks(chance: random.Random) -> list[Packet]:
    """NTP for a network, from four servers, every minute."""
    del chance
    found: list[Packet] = []
    for turn in range(20):
        for host in range(40):
            at, client, server = turn * 64.0 + host * 0.1, f"10.0.2.{host}", f"203.0.113.{host % 4}"
            found += [
                (at, datagram(client, server, 123, 123, bytes(48))),
                (at + 0.02, datagram(server, client, 123, 123, bytes(48))),
            ]
    return found


def _video(chance: random.Random) -> list[Packet]:
    """Video over QUIC (much in, acknowledgements out), a call with small packets both ways, and a one-way stream inside the network."""
    del chance
    found: list[Packet] = []
    for number in range(8000):
        at = number * 0.001
        found.append((at, datagram(FAR, OTHER, 443, 50_000, bytes(1200))))
        if number % 8 == 0:
            found.append((at, datagram(OTHER, FAR, 50_000, 443, bytes(40))))
        if number % 20 == 0:
            found += [
                (at, datagram(OTHER, FAR, 50_002, 16_384, bytes(160))),
                (at, datagram(FAR, OTHER, 16_384, 50_002, bytes(160))),
            ]
        if number % 4 == 0:
            found.append((at, datagram("10.0.3.1", "10.0.3.2", 5004, 5004, bytes(1316))))
    return found


def _logs(chance: random.Random) -> list[Packet]:
    """Two hundred hosts send logs and metrics to one collector, which never answers."""
    ports = (514, 8125, 6343)
    return [
        (
            number * 0.001,
            datagram(f"10.0.4.{number % 200}", US, 30_000 + number % 200, chance.choice(ports), bytes(200)),
        )
        for number in range(8000)
    ]


def _containers(chance: random.Random) -> list[Packet]:
    """A build machine pulls sixty images in ten minutes: many connections to few registries."""
    found: list[Packet] = []
    for number in range(60):
        found += lookup(OTHER, RESOLVER, number * 10.0, f"registry-{number % 3}.example.org")
        for layer in range(8):
            at, sport = number * 10.0 + layer * 0.2 + chance.random(), 20_000 + number * 8 + layer
            talk = Talk(OTHER, f"203.0.113.{60 + number % 3}", 443, at, sport)
            found += talk.open().ask(b"\x16\x03\x01" + bytes(300)).answer(bytes(30_000)).close()
    return found


def _forwarded(chance: random.Random) -> list[Packet]:
    """Port forwarding: a client uses twelve forwarded ports of the host, all answer."""
    source = _address(chance)
    return [packet for number in range(60) for packet in http(source, US, number * 0.5, ["/"], port=8000 + number % 12)]


def _passive_ftp(chance: random.Random) -> list[Packet]:
    """A mirror is fetched over FTP: a hundred data connections to ports of the server's choice."""
    talk = (
        Talk(OTHER, US, 21, 0.0, step=0.005).open().answer(b"220 x\r\n").ask(b"USER anonymous\r\n").answer(b"331 x\r\n")
    )
    talk.ask(b"PASS ftp@example.org\r\n").answer(b"230 ok\r\n")
    found: list[Packet] = []
    for number in range(100):
        port = chance.randrange(30_000, 32_000)
        talk.ask(b"PASV\r\n").answer(f"227 ok (10,0,0,10,{port >> 8},{port & 255})\r\n".encode()).ask(b"RETR f\r\n")
        found += Talk(OTHER, US, port, talk.at, 42_000 + number, 0.002).open().answer(bytes(5000)).close()
        talk.wait(0.05).answer(b"226 done\r\n")
    return found + talk.close()


def _traceroute(chance: random.Random) -> list[Packet]:
    """Traceroute and mtr to one host: ninety ports that nobody answers."""
    del chance
    return [(number * 0.1, datagram(OTHER, FAR, 45_000, 33_434 + number, bytes(32))) for number in range(90)]


def _failover(chance: random.Random) -> list[Packet]:
    """An address moves to the other machine of a pair, which announces it; later it moves back."""
    del chance
    one, other, found = 0x020000000031, 0x020000000032, []
    for turn, card in enumerate((one, other, one)):
        found += [(turn * 20.0 + again, arp(1, card, "10.0.0.100", 0, "10.0.0.100")) for again in range(5)]
        found += [(turn * 20.0 + 8, arp(1, 0x020000000010, US, 0, "10.0.0.100"))]
        found += [(turn * 20.0 + 8.01, arp(2, card, "10.0.0.100", 0x020000000010, US))]
    return found


def _neighbours(chance: random.Random) -> list[Packet]:
    """The gateway asks for everybody and everybody for the gateway."""
    found: list[Packet] = []
    for number in range(100):
        host, card = f"10.0.0.{number + 100}", 0x020000001000 + number
        at = chance.uniform(0, 100)
        found += [(at, arp(1, card, host, 0, GATEWAY)), (at + 0.001, arp(2, 0x020000000001, GATEWAY, card, host))]
        found += [
            (at + 1, arp(1, 0x020000000001, GATEWAY, 0, host)),
            (at + 1.001, arp(2, card, host, 0x020000000001, GATEWAY)),
        ]
    return found


def _mail(chance: random.Random) -> list[Packet]:
    """Mail programs of an office fetch over TLS every minute, all from one address."""
    found: list[Packet] = []
    for number in range(50):
        talk = Talk(FAR, US, 993, chance.uniform(0, 60), 20_000 + number).open()
        found += (
            talk.ask(b"\x16\x03\x01" + bytes(300))
            .answer(b"\x16\x03\x03" + bytes(3500))
            .ask(bytes(300))
            .answer(bytes(900))
            .close()
        )
    return found


def _interface_of_programs(chance: random.Random) -> list[Packet]:
    """A program uses an interface over HTTP with a token: steady requests, some refused, texts with quotes and brackets in them."""
    paths = [
        f"/api/v1/items?filter=name%20eq%20'O%27Brien'&select=id,name&top={chance.randrange(50)}" for _ in range(300)
    ]
    return http(FAR, US, 0.0, paths, headers={"Authorization": "Bearer abc"}) + http(
        FAR, US, 1.0, ["/api/v1/missing"] * 20, "404 Not Found"
    )


def _reboot(chance: random.Random) -> list[Packet]:
    """The sensor starts amid connections that go on, and one host's connections are reset because it was restarted."""
    found: list[Packet] = []
    for number in range(200):
        client, sport = _address(chance), 1024 + number
        for turn in range(4):
            at = number * 0.01 + turn
            found.append((at, segment(US, client, 443, sport, ACK | PSH, 100 + turn * 100, 50, bytes(100))))
            found.append((at + 0.02, segment(client, US, sport, 443, ACK, 50, 200 + turn * 100)))
    for number in range(30):
        found.append((number * 0.1, segment(OTHER, US, 40_000 + number, 5432, ACK, 5, 5)))
        found.append((number * 0.1 + 0.001, segment(US, OTHER, 5432, 40_000 + number, RST, 5)))
    return found


BENIGN: dict[str, Scene] = {
    "apt": Scene(_apt),
    "browsing": Scene(_browsing),
    "a busy site": Scene(_site),
    "git over SSH": Scene(_git),
    "deployment over SSH": Scene(_deployment),
    "a mistyped password": Scene(_mistyped),
    "large transfers, backup": Scene(_transfer),
    "keep-alive monitoring": Scene(_monitoring),
    "connection pools": Scene(_keep_alive),
    "health checks": Scene(_health_checks),
    "a service that is down": Scene(_crashed),
    "two thousand clients at once": Scene(_busy_tls),
    "a resolver with many names": Scene(_resolver),
    "long names": Scene(_long_names),
    "NTP": Scene(_clocks),
    "video, calls, streams": Scene(_video),
    "logs and metrics": Scene(_logs),
    "a build machine pulling images": Scene(_containers),
    "port forwarding": Scene(_forwarded),
    "passive FTP": Scene(_passive_ftp),
    "traceroute": Scene(_traceroute),
    "failover": Scene(_failover),
    "neighbours": Scene(_neighbours),
    "mail programs": Scene(_mail),
    "programs over HTTP": Scene(_interface_of_programs),
    "a sensor that starts late": Scene(_reboot),
}
