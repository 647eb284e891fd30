"""Mutated conversations through every part at once, with rules of every family and all detectors: nothing raises, every record is JSON.

HOLDFAST_FUZZ_WHOLE sets how many conversations (1,000 otherwise), HOLDFAST_SEED where they start; a failure names its seed.
"""

import io
import json
import os
import random
import struct

from collectors.traffic.detectors.finding import Finding
from collectors.traffic.output import eve, eve_findings
from collectors.traffic.reading import Reading, ReadOptions
from collectors.traffic.rules.engine.prepared import Prepared, prepare
from tests.collectors.traffic.decode.test_decoder import mutate
from tests.collectors.traffic.protocols.seeds import SEEDS, Said
from tests.collectors.traffic.protocols.test_parser_fuzz import ODD
from tests.collectors.traffic.rules.engine import scene

AT_ONCE = 20
"""Conversations of one capture."""
PORTS = {"http": 80, "http2": 80, "tls": 443, "ssh": 22, "smtp": 25, "ftp": 21, "dns": 53}
HEADERS = struct.Struct("!6s6sH BBHHHBBHII HHIIBBHHH")
RULES = """
tcp any any -> any any (content:"a"; content:"e"; distance:0; within:40;)
tcp any any -> any any (content:"|00|"; byte_test:2,>,10,0,relative; byte_jump:1,0,relative,post_offset -1; isdataat:1,relative;)
tcp any any -> any any (byte_extract:1,0,n; byte_math:bytes 2,offset 1,oper *,rvalue n,result r; byte_test:1,<,r,0; content:"t"; offset:n;)
tcp any any -> any any (pcre:"/(a|b|ab)*[^x]{2,}\\r\\n/";)
tcp any any -> any any (content:"a"; base64_decode:relative; base64_data; content:"b";)
tcp any any -> any any (flow:established; stream_size:both,>,20; content:"E"; flowbits:set,e; flowint:n,+,1; xbits:set,x,track ip_pair;)
tcp any any -> any any (flowbits:isset,e; flowint:n,>,2; xbits:isset,x,track ip_pair; threshold:type both,track by_src,count 2,seconds 5;)
tcp any any -> any any (content:"e"; asn1:double_overflow, oversize_length 20; entropy:value >1;)
tcp any any -> any any (flags:*SFR; tcp.mss:<9000; ttl:>0; window:!0; ipopts:any; fragbits:!M; tcp.hdr; content:"|00|";)
ip any any -> any any (ip.src; dataset:set,seen,type ip; flow.pkts:either,>3;)
udp any any -> any any (content:"|00 01|"; dsize:>5; udp.hdr; content:"|00|"; rpc:*,*,*;)
http any any -> any any (http.uri; url_decode; to_lowercase; content:"a"; bsize:<900; pcre:"/[^\\/]+$/R";)
http any any -> any any (http.header; header_lowercase; strip_whitespace; content:"host"; http.method; content:"G"; urilen:>0;)
http any any -> any any (http.request_body; xor:"0102"; content:!"zz"; http.cookie; absent;)
http any any -> any any (http.user_agent; from_base64; to_sha256; dataset:isnotset,agents,type sha256;)
http any any -> any any (http.host; pcrexform:"^([a-z.]+)"; domain; content:"e";)
http any any -> any any (file.data; gunzip; content:"a"; within:9;)
http any any -> any any (filemagic:"text"; filesize:>0; fileext:"x";)
http any any -> any any (http.response_header; content:"a"; http.stat_code; content:"2"; app-layer-state:>response_headers;)
http any any -> any any (app-layer-event:http.request_header_invalid;)
http2 any any -> any any (http2.header_name; content:"a"; http2.frametype:headers; http2.settings:SETTINGS_ENABLE_PUSH;)
http1:response_body any any -> any any (flow:to_client;)
http any any -> any any (app-layer-state:request_headers;)
dns any any -> any any (dns.query; dotprefix; tld; content:"e"; dns.rrtype:>0;)
dns any any -> any any (dns.answers.rrname; content:"e"; dns.rcode:0; dns.opcode:0;)
tls any any -> any any (tls.sni; content:"example"; tls.version:1.2; ssl_state:client_hello; ja3.string; content:"7";)
tls any any -> any any (tls.certs; content:"|30|"; tls_cert_expired; tls.cert_chain_len:>0;)
ssh any any -> any any (ssh.software; content:"b"; ssh.hassh.string; content:"-"; ssh.protoversion:2_compat;)
smtp any any -> any any (smtp.mail_from; content:"@"; email.subject; to_uppercase; content:"A";)
smtp any any -> any any (file.name; content:"a"; file.data; compress_whitespace; content:"e";)
ftp any any => any any (ftp.command; content:"R"; ftp.reply; content:"2"; ftp.mode:passive;)
""".strip().splitlines()


def ready() -> Prepared:
    return prepare(scene.rules(*(f"alert {rule}" for rule in RULES)))


def frame(to_client: bool, port: int, dport: int, numbers: tuple[int, int], flags: int, data: bytes) -> bytes:
    ends = ((0x0A00_0001, port), (0x0A00_0002, dport))
    (source, sport), (target, tport) = ends[::-1] if to_client else ends
    seq, ack = numbers
    return HEADERS.pack(bytes(6), bytes(6), 0x0800, 0x45, 0, 40 + len(data), 1, 0, 64, 6, 0, source, target, sport, tport,
                        seq & 0xFFFF_FFFF, ack & 0xFFFF_FFFF, 0x50, flags, 60_000, 0, 0) + data  # fmt: skip


def packets(said: Said, port: int, dport: int, chance: random.Random) -> list[bytes]:
    """Return a conversation as segments of any size; now and then words are odd, and packets lost, doubled, late or changed."""
    start = chance.getrandbits(32)
    at = [start + 1, 7001]
    found = [frame(False, port, dport, (start, 0), 2, b""), frame(True, port, dport, (7000, at[0]), 18, b"")]
    found.append(frame(False, port, dport, (at[0], at[1]), 16, b""))
    for to_client, text in said:
        data = bytearray(text)
        for _ in range(chance.choice((0, 0, 1, 2, 5))):
            place = chance.randrange(len(data) + 1)
            data[place:place] = chance.choice(ODD) if chance.random() < 0.7 else chance.randbytes(4)
        while data:
            size = chance.choice((1, 3, 40, 500, 1400))
            found.append(frame(to_client, port, dport, (at[to_client], at[not to_client]), 24, bytes(data[:size])))
            at[to_client] += len(data[:size])
            if chance.random() < 0.7:
                found.append(frame(not to_client, port, dport, (at[not to_client], at[to_client]), 16, b""))
            del data[:size]
    found.append(frame(False, port, dport, (at[0], at[1]), chance.choice((17, 20, 16)), b""))
    for _ in range(chance.choice((0, 0, 1, 3))):
        place, deed = chance.randrange(len(found)), chance.randrange(4)
        if deed == 0:
            found[place] = mutate(found[place], chance)
        elif deed == 1:
            found.insert(place, found[chance.randrange(len(found))])
        elif deed == 2 and len(found) > 1:
            del found[place]
        else:
            chance.shuffle(found)
    return found


def capture(seed: int) -> io.BytesIO:
    chance = random.Random(seed)
    names = sorted(PORTS)
    talks = []
    for number in range(AT_ONCE):
        name = chance.choice(names)
        port = PORTS[name] if chance.random() < 0.9 else chance.randrange(1, 65_536)
        talks.append(packets(chance.choice(SEEDS[name]), 1024 + number, port, chance))
    mixed = [talk.pop(0) for talk in chance.choices(talks, k=4000) if talk]
    return scene.capture([*mixed, *(packet for talk in talks for packet in talk)])


def test_mutated_conversations_pass_every_part_and_nothing_raises() -> None:
    count, first = int(os.environ.get("HOLDFAST_FUZZ_WHOLE", "1000")), int(os.environ.get("HOLDFAST_SEED", "1"))
    rules = ready()
    spoken: set[int] = set()
    for seed in range(first, first + count // AT_ONCE):
        options = ReadOptions(
            verify_checksums=False,
            inline=seed % 4 == 1,
            midstream=seed % 4 == 2,
            async_oneside=seed % 4 == 3,
            detect=True,
        )
        try:
            for one in Reading(capture(seed), rules, options).results():
                if isinstance(one, Finding):
                    line = eve_findings.line(one)
                else:
                    line = eve.line(one)
                    spoken.add(one.rule.sid)
                assert json.loads(line)["timestamp"]
        except Exception as problem:
            raise AssertionError(f"seed {seed}") from problem
    assert len(spoken) > len(RULES) // 3, "the rules are reached"
