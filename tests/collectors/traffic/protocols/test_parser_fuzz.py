"""Mutated conversations, thousands of them: no parser raises, keeps more than its bounds, or takes long.

HOLDFAST_FUZZ_TRAFFIC sets how many (10,000 otherwise), HOLDFAST_SEED where they start; a failure names its seed.
"""

import os
import random
import time

from collectors.traffic.protocols.events import EVENTS
from collectors.traffic.protocols.names import BUFFERS, INTEGERS
from collectors.traffic.protocols.news import Conversation
from collectors.traffic.protocols.parser import Facts, Limits, Parser
from collectors.traffic.protocols.registry import parser_of
from tests.collectors.traffic.protocols.seeds import SEEDS, Said

COUNT = int(os.environ.get("HOLDFAST_FUZZ_TRAFFIC", "10000"))
START = int(os.environ.get("HOLDFAST_SEED", "1"))

ODD = (b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b"\r\n ", b"\r\n\r\n", b"0\r\n", b"ffffffff\r\n", b"\xff\xff", b"chunked", b"gzip",
       b"Content-Length: 99999999999\r\n", b"--B", b".\r\n", b"\xc0\x0c", b"\x80", b"%00", b"\x16\x03\x01\xff\xff", b"A" * 300,
       b"HTTP/1.1 200 OK\r\n",
       b"Transfer-Encoding: chunked\r\n", b"Content-Encoding: br\r\n", b"Content-Encoding: zstd\r\n",
       b"Content-Encoding: lzma\r\n")  # fmt: skip


def mutated(said: Said, chance: random.Random) -> list[tuple[bool, bytes, int]]:
    """Return a conversation with bytes changed, cut, doubled and put in, pieces of any size, now and then a hole."""
    pieces: list[tuple[bool, bytes, int]] = []
    for to_client, data in said:
        text = bytearray(data)
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(text) + 1)
            deed = chance.randrange(5)
            if deed == 0 and at < len(text):
                text[at] = chance.randrange(256)
            elif deed == 1:
                del text[at : at + chance.randrange(1, 8)]
            elif deed == 2:
                text[at:at] = chance.choice(ODD)
            elif deed == 3:
                text[at:at] = text[at : at + chance.randrange(64)]
            else:
                text[at:at] = chance.randbytes(chance.randrange(1, 16))
        while text:
            size = chance.choice((1, 2, 7, 40, 1460, 65_536))
            pieces.append((to_client, bytes(text[:size]), 3 if chance.random() < 0.01 else 0))
            del text[:size]
    if chance.random() < 0.1:
        chance.shuffle(pieces)
    return pieces


def ask_everything(parser: Parser) -> None:
    """Ask for every buffer and number of every transaction."""
    known = EVENTS.get(parser.protocol, frozenset())
    for tx in parser.conversation.transactions:
        for side in (False, True):
            for name in BUFFERS:
                assert all(type(value) is bytes for value in tx.buffers(name, side))
                tx.growing(name)
            for name in INTEGERS:
                tx.integers(name, side)
        assert not known or set(tx.events) <= known, set(tx.events) - known
        assert sum(file.kept.length() for file in tx.files) < 4 << 20


def test_no_parser_raises_or_stalls_on_mutated_conversations() -> None:
    names = sorted(SEEDS)
    for seed in range(START, START + COUNT):
        chance = random.Random(seed)
        name = names[seed % len(names)]
        parser = parser_of(
            name,
            Conversation(0),
            Facts(40_000, 80, (0, 1), (0, 2), name == "dns" and seed % 2 == 0),
            Limits(hash_files=("md5", "sha1", "sha256")),
        )
        begun = time.process_time()
        try:
            for to_client, data, gap in mutated(chance.choice(SEEDS[name]), chance):
                parser.data(to_client, data, gap)
            parser.end(False)
            parser.end(True)
            if seed % 8 < 2:
                ask_everything(parser)
        except Exception as error:
            raise AssertionError(f"seed {seed} ({name})") from error
        assert time.process_time() - begun < 1.0, f"seed {seed} ({name}) took long"
