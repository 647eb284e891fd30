"""Whole flows made of what a rule says: packets whose conversation carries the bytes that `synthesis` lays out for each buffer."""

import random
from ipaddress import IPv4Address

from scapy.layers.inet import ICMP, IP, TCP, UDP

from collectors.traffic.rules.language.rule import Addresses, BufferTest, FieldTest, FlowBits, Ports, Rule
from collectors.traffic.rules.matching.matcher import Matcher
from collectors.traffic.rules.matching.state import State
from tests.collectors.traffic.oracle import ether
from tests.collectors.traffic.protocols import seeds
from tests.collectors.traffic.rules.synthesis import Layout, Unmade, altered, layout

WEB = {
    "http.host": b"Host",
    "http.user_agent": b"User-Agent",
    "http.referer": b"Referer",
    "http.accept": b"Accept",
    "http.accept_lang": b"Accept-Language",
    "http.accept_enc": b"Accept-Encoding",
    "http.connection": b"Connection",
    "http.content_type": b"Content-Type",
    "http.server": b"Server",
    "http.location": b"Location",
    "http.content_len": b"Content-Length",
}
DEFAULTS = {b"host": b"q.test", b"content-length": b"", b"accept": b"*/*"}
GREETINGS = {
    "smtp": ((True, b"220 mail ESMTP\r\n"), (False, b"EHLO me\r\n"), (True, b"250 OK\r\n")),
    "ftp": ((True, b"220 (ftp)\r\n"), (False, b"USER q\r\n"), (True, b"331 pw\r\n")),
    "ssh": ((True, b"SSH-2.0-q\r\n"), (False, b"SSH-2.0-q\r\n")),
    "": (),
}
TEXT, HOST = b"QZ7", b"qz7"
Said = list[tuple[bool, bytes]]


class Flow:
    """The packets of one flow (or of several between the same hosts), and the addresses of both hosts, by which alerts are told apart."""

    def __init__(self, packets: list[bytes], ends: tuple[str, str]) -> None:
        self.packets, self.ends = packets, ends


class Maker:
    """Makes flows for one rule. `parts` are the buffers as they are laid out; `altered` changes one byte of one content."""

    def __init__(self, rule: Rule, seed: random.Random) -> None:
        """Raises `Unmade` with the reason when this kind of rule cannot be made."""
        self.rule, self.seed = rule, seed
        self.to_client = self._side()
        self._possible()
        self.times = _times(rule, rule.destination_ports if self.to_client else rule.source_ports)
        self.tests = [test for test in (rule.payload, *rule.buffers) if test is not None]
        self.parts: list[bytes] = []
        self.places: list[Layout] = []
        for test in self.tests:
            data, place = _laid(test, seed)
            self.parts.append(data)
            self.places.append(place)

    def _possible(self) -> None:
        rule = self.rule
        if any(isinstance(one, FlowBits) and one.cmd == "isset" for one in rule.state):
            raise Unmade("asks for a flowbit that another rule sets")
        if any(one.cmd not in ("set", "unset", "isnotset", "toggle") for one in rule.state):
            raise Unmade("asks for state of other flows")
        if rule.noalert:
            raise Unmade("never alerts (noalert)")
        if rule.base64 is not None:
            raise Unmade("base64_decode")
        for test in rule.tests:
            if not (isinstance(test, FieldTest) and test.name in ("itype", "icode", "dsize")):
                raise Unmade(f"tests {getattr(test, 'name', type(test).__name__)}")

    def _side(self) -> bool:
        flow = self.rule.flow
        if flow is not None and flow.direction:
            return flow.direction == "to_client"
        return any(test.direction == "to_client" for test in self.rule.buffers)

    def whole(self) -> Flow:
        """Return the flow that the rule describes."""
        return self._flow(self.parts)

    def changed(self) -> Flow:
        """Return the flow with one byte of one content altered, or from elsewhere when the rule is about addresses; raises `Unmade`."""
        if not self.tests:
            return self._flow([], elsewhere=True)
        reason = "no byte of a content decides"
        for number, data in self._alterations():
            parts = list(self.parts)
            parts[number] = data
            try:
                return self._flow(parts)
            except Unmade as why:
                reason = str(why)
        raise Unmade(reason)

    def _alterations(self) -> list[tuple[int, bytes]]:
        """Return buffers with one byte altered, by their number, that do not pass any more; in random order."""
        found: list[tuple[int, bytes]] = []
        for number, place in enumerate(self.places):
            matcher = Matcher(self.tests[number])
            for data in altered(self.parts[number], place) if place.spans else ():
                if not matcher.transformed(data, State()):
                    found.append((number, data))
        self.seed.shuffle(found)
        return found[:20]

    def _flow(self, parts: list[bytes], elsewhere: bool = False) -> Flow:
        """Return the packets, as often as the rule's threshold asks, each time from another port."""
        rule = self.rule
        addresses = [rule.source, rule.destination]
        if elsewhere:
            number = int(rule.source.any)
            if addresses[number].any:
                raise Unmade("nothing is tested")
            addresses[number] = _others(addresses[number])
        source = (_address(addresses[0], self.seed), _port(rule.source_ports, self.seed))
        destination = (_address(addresses[1], self.seed), _port(rule.destination_ports, self.seed))
        client, server = (destination, source) if self.to_client else (source, destination)
        packets: list[bytes] = []
        for turn in range(self.times):
            packets += self._packets((client[0], 1 + (client[1] - 1 + turn) % 65_535, *server), parts)
        return Flow(packets, (client[0], server[0]))

    def _packets(self, ends: tuple[str, int, str, int], parts: list[bytes]) -> list[bytes]:
        rule = self.rule
        payload = b"".join(part for test, part in zip(self.tests, parts, strict=True) if test is rule.payload)
        if rule.protocol == "udp" or (rule.protocol == "ip" and not rule.app_protocol):
            return _datagrams(ends, self._padded(payload) or b"q", self.to_client)
        if rule.protocol == "icmp":
            return [_icmp(rule, ends, self._padded(payload))]
        named = {
            test.buffer: (test, part) for test, part in zip(self.tests, parts, strict=True) if test is not rule.payload
        }
        match rule.app_protocol:
            case "dns" if rule.payload is None:
                return _datagrams(ends, _dns(named, self.to_client), False)
            case "http":
                said = _http(named, payload, rule.payload is not None, self.to_client)
            case "tls" if rule.payload is None:
                said = _tls(named)
            case "" | "smtp" | "ftp" | "ssh" | "smb" if not named:
                said = [*GREETINGS.get(rule.app_protocol, ()), (self.to_client, self._padded(payload))]
            case _:
                raise Unmade(f"{rule.app_protocol} with {', '.join(named) or 'payload'}")
        return _session(ends, said)

    def _padded(self, payload: bytes) -> bytes:
        """Return the payload made as long as `dsize` asks."""
        for test in self.rule.tests:
            if isinstance(test, FieldTest) and test.name == "dsize" and not test.number.holds(len(payload)):
                size = next((size for size in range(len(payload), 9000) if test.number.holds(size)), None)
                if size is None:
                    raise Unmade("the contents are longer than dsize allows")
                payload = payload.ljust(size, b"Q")
        return payload


def _times(rule: Rule, ports: Ports) -> int:
    """Return how often a rule has to match before it speaks."""
    limit, times = rule.threshold, 1
    if limit is not None and limit.type in ("threshold", "both"):
        times = limit.count
    if rule.detection_filter is not None:
        times += rule.detection_filter.count
    if times > 1 and (times > 100 or not ports.any):
        raise Unmade("speaks at the n-th match only, and has too few ports for so many flows")
    return times


def _others(wanted: Addresses) -> Addresses:
    """Return the addresses of version 4 between those that are wanted."""
    edges = [0x01000000, *(end for low, high in wanted.v4 for end in (low - 1, high + 1)), 0xDF000000]
    gaps = [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low <= high]
    return Addresses(False, tuple(gaps))


def _laid(test: BufferTest, seed: random.Random) -> tuple[bytes, Layout]:
    """Return bytes for a buffer as they may stand on the wire, and how they are laid out."""
    name = test.buffer in ("http.host", "dns.query", "tls.sni")
    value = test.buffer in WEB
    matcher = Matcher(test)
    for _ in range(40):
        try:
            reserve = seed.choice((0, 1, 5)) if name or value else 0
            made = layout(test, seed, reserve, HOST if name else TEXT)
            data = made.finish()
        except Unmade:
            continue
        if name and b".." in data:
            continue  # no name has an empty label
        if value and not made.ends and (not data or data[-1:] == b" "):
            data += b"q.test"  # spaces around a header's value are not part of it
        if value and data != data.strip():
            continue
        if matcher.transformed(data, State()):
            return data, made
    raise Unmade("no bytes found that pass " + test.buffer)


def _address(wanted: Addresses, seed: random.Random) -> str:
    if wanted.any:
        return f"10.{seed.randrange(1, 250)}.{seed.randrange(250)}.{seed.randrange(1, 250)}"
    usual = [(low, high) for low, high in wanted.v4 if high > 0x01000000 and low < 0xDF000000]
    if not usual:
        raise Unmade("addresses of IPv6 alone, and the other side has none")
    low, high = seed.choice(usual)
    return str(IPv4Address(seed.randint(max(low, 0x01000001), min(high, 0xDF000000))))


def _port(wanted: Ports, seed: random.Random) -> int:
    if wanted.any:
        return seed.randint(20_000, 60_000)
    low, high = seed.choice(wanted.ranges)
    return seed.randint(max(low, 1), high)


def _datagrams(ends: tuple[str, int, str, int], data: bytes, to_client: bool) -> list[bytes]:
    client, cport, server, sport = ends
    ask = ether() / IP(src=client, dst=server) / UDP(sport=cport, dport=sport)
    if not to_client:
        return [bytes(ask / data)]
    return [bytes(ask / b"q"), bytes(ether() / IP(src=server, dst=client) / UDP(sport=sport, dport=cport) / data)]


def _icmp(rule: Rule, ends: tuple[str, int, str, int], data: bytes) -> bytes:
    values = {"itype": 8, "icode": 0}
    for test in rule.tests:
        if isinstance(test, FieldTest) and test.name in values:
            values[test.name] = next(number for number in range(256) if test.number.holds(number))
    return bytes(
        ether() / IP(src=ends[0], dst=ends[2]) / ICMP(type=values["itype"], code=values["icode"], id=7, seq=1) / data
    )


def _session(ends: tuple[str, int, str, int], said: Said) -> list[bytes]:
    """Return a whole TCP session: handshake, what is said (cut into segments), everything acknowledged, and the end."""
    (client, cport, server, sport), at = ends, [1000, 5000]
    packets: list[bytes] = []

    def put(way: int, flags: str, data: bytes = b"") -> None:
        tcp = TCP(
            sport=(cport, sport)[way],
            dport=(sport, cport)[way],
            seq=at[way],
            ack=at[1 - way] if "A" in flags else 0,
            flags=flags,
            window=60_000,
        )
        packets.append(bytes(ether() / IP(src=(client, server)[way], dst=(server, client)[way]) / tcp / data))
        at[way] += len(data) + ("S" in flags or "F" in flags)

    for way, flags in ((0, "S"), (1, "SA"), (0, "A")):
        put(way, flags)
    for to_client, data in said:
        for begin in range(0, len(data), 16_000):
            put(int(to_client), "PA", data[begin : begin + 16_000])
            put(int(not to_client), "A")
    for way, flags in ((0, "FA"), (1, "FA"), (0, "A")):
        put(way, flags)
    return packets


Named = dict[str, tuple[BufferTest, bytes]]


def _dns(named: Named, to_client: bool) -> bytes:
    if len(named) != 1 or to_client or "dns.query" not in named:
        raise Unmade(f"dns with {', '.join(named)}")
    name = _undone(*named["dns.query"])
    labels = name.split(b".")
    if any(not 0 < len(label) < 64 for label in labels) or len(name) > 250:
        raise Unmade("the query is no name")
    return seeds.dns_message(name, response=False)


def _undone(test: BufferTest, data: bytes) -> bytes:
    """Return a buffer as it is before its transforms."""
    for transform in reversed(test.transforms):
        if transform.name != "dotprefix" or not data.startswith(b"."):
            raise Unmade(f"the transform {transform.name} cannot be undone")
        data = data[1:]
    return data


def _tls(named: Named) -> Said:
    values = {name: _undone(test, data) for name, (test, data) in named.items()}
    others = set(values) - {"tls.sni", "tls.certs", "tls.cert_subject", "tls.cert_issuer"}
    if others:
        raise Unmade(f"tls with {', '.join(sorted(others))}")
    said: Said = [(False, seeds.client_hello(values.get("tls.sni", b"q.test")))]
    if len(values) > ("tls.sni" in values):
        if {"tls.cert_subject", "tls.cert_issuer"} & set(values):
            if "tls.certs" in values:
                raise Unmade("tls with a certificate both as bytes and as names")
            der = _certificate(values.get("tls.cert_issuer", b"CN=q"), values.get("tls.cert_subject", b"CN=q"))
        else:
            der = values["tls.certs"]
        said.append((True, seeds.server_hello() + seeds.certificate_message(der)))
    return said


def _der(tag: int, body: bytes) -> bytes:
    size = len(body)
    head = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2)
    return bytes([tag]) + head + body


OIDS = {b"CN": 3, b"C": 6, b"L": 7, b"ST": 8, b"O": 10, b"OU": 11}


def _name(text: bytes) -> bytes:
    parts = b""
    for piece in text.split(b", "):
        word, equals, value = piece.partition(b"=")
        if not equals or word not in OIDS:
            raise Unmade("the name of a certificate is not made of attributes")
        parts += _der(0x31, _der(0x30, b"\x06\x03\x55\x04" + bytes([OIDS[word]]) + _der(0x0C, value)))
    return _der(0x30, parts)


def _certificate(issuer: bytes, subject: bytes) -> bytes:
    algorithm = _der(0x30, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00")
    valid = _der(0x30, _der(0x17, b"200101000000Z") + _der(0x17, b"400101000000Z"))
    key = _der(0x30, algorithm + _der(0x03, b"\x00" + bytes(16)))
    body = b"\xa0\x03\x02\x01\x02\x02\x01\x07" + algorithm + _name(issuer) + valid + _name(subject) + key
    return _der(0x30, _der(0x30, body) + algorithm + _der(0x03, b"\x00" + bytes(16)))


def _http(named: Named, payload: bytes, raw: bool, to_client: bool) -> Said:
    """Return a request and its response around the buffers."""
    asked: dict[str, bytes] = {}
    answered: dict[str, bytes] = {}
    for name, (test, data) in named.items():
        way = test.direction == "to_client" or (test.direction == "both" and to_client)
        (answered if way else asked)[name] = _undone(test, data)
    if raw:
        said = _around(payload, to_client)
        if said is not None:
            if named:
                raise Unmade("raw payload that is a message of its own, beside buffers of HTTP")
            return said
        side, where = (answered, "file.data") if to_client else (asked, "http.request_body")
        if where in side:
            raise Unmade("raw payload beside a body")
        side[where] = payload
    request = _request(asked)
    return [(False, request), (True, _response(answered))]


def _around(payload: bytes, to_client: bool) -> Said | None:
    """Return a conversation whose one side is the payload itself, when that begins like a message."""
    if to_client and payload.startswith(b"HTTP/1"):
        return [(False, b"GET / HTTP/1.1\r\nHost: q.test\r\n\r\n"), (True, payload + b"\r\n\r\n")]
    if not to_client and payload[:5] in (b"GET /", b"POST ", b"HEAD ", b"PUT /"):
        return [(False, payload if b"\r\n\r\n" in payload else payload + b"\r\n\r\n")]
    return None


def _request(parts: dict[str, bytes]) -> bytes:
    body = parts.pop("http.request_body", None)
    if body is None:
        body = parts.pop("file.data", None)
    known = {
        "http.method",
        "http.uri",
        "http.uri.raw",
        "http.protocol",
        "http.request_line",
        "http.header",
        "http.cookie",
    }
    _only(parts, known)
    uri = parts.get("http.uri.raw", _escaped(parts.get("http.uri", b"/")))
    if {"http.uri", "http.uri.raw"} <= set(parts):
        raise Unmade("http.uri beside http.uri.raw")
    if b" " in uri or not uri:
        raise Unmade("a URI with spaces")
    method = parts.get("http.method", b"POST" if body else b"GET")
    line = parts.get("http.request_line", b" ".join((method, uri, parts.get("http.protocol", b"HTTP/1.1"))))
    return line + b"\r\n" + _headers(parts, body, b"Cookie", b"http.host") + (body or b"")


def _response(parts: dict[str, bytes]) -> bytes:
    body = parts.pop("file.data", parts.pop("http.response_body", b""))
    _only(
        parts, {"http.stat_code", "http.stat_msg", "http.response_line", "http.protocol", "http.header", "http.cookie"}
    )
    start = (
        parts.get("http.protocol", b"HTTP/1.1"),
        parts.get("http.stat_code", b"200"),
        parts.get("http.stat_msg", b"OK"),
    )
    line = parts.get("http.response_line", b" ".join(start))
    return line + b"\r\n" + _headers(parts, body, b"Set-Cookie", b"") + body


def _only(parts: dict[str, bytes], known: set[str]) -> None:
    others = set(parts) - known - set(WEB) - {"http.header_names"}
    if others:
        raise Unmade(f"http with {', '.join(sorted(others))}")


def _escaped(uri: bytes) -> bytes:
    """Return a URI so that it is decoded to these bytes, with a slash before it where there is none."""
    uri = b"".join(b"%%%02x" % byte if byte <= 32 or byte >= 127 else bytes((byte,)) for byte in uri)
    return uri if uri.startswith((b"/", b"http:")) else b"/" + uri


def _headers(parts: dict[str, bytes], body: bytes | None, cookie: bytes, host: bytes) -> bytes:
    """Return the headers, in the order that `http.header_names` asks for, and the empty line."""
    have: dict[bytes, bytes] = {WEB[name]: value for name, value in parts.items() if name in WEB}
    if "http.cookie" in parts:
        have[cookie] = parts["http.cookie"]
    if body is not None and b"Content-Length" not in have:
        have[b"Content-Length"] = b"%d" % len(body)
    if host:
        have.setdefault(b"Host", b"q.test")
    names = [one for one in parts.get("http.header_names", b"").split(b"\r\n") if one]
    raw = parts.get("http.header", b"").removeprefix(b"\r\n")
    raw = raw + b"\r\n" if raw and not raw.endswith(b"\r\n") else raw
    if raw and b":" not in raw:
        raw = b"X-Q: " + raw
    for line in raw.split(b"\r\n"):
        have.pop(line.partition(b":")[0], None)
    if names and raw:
        raise Unmade("http.header beside http.header_names")
    lower = {name.lower(): value for name, value in have.items()}
    lines = [name + b": " + lower.pop(name.lower(), DEFAULTS.get(name.lower(), b"q")) for name in names]
    if names and set(lower) - {b"host", b"content-length"} and not body:
        raise Unmade("a header that http.header_names does not name")
    if not names:
        lines = [name + b": " + value for name, value in have.items()]
    elif b"content-length" in lower:
        lines.append(b"Content-Length: " + lower[b"content-length"])
    return b"".join(line + b"\r\n" for line in lines) + raw + b"\r\n"
