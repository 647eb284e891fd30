import random

import h11
import pytest

from collectors.traffic.protocols.http.transaction import HttpTransaction
from collectors.traffic.protocols.names import BUFFERS
from collectors.traffic.protocols.parser import Limits
from tests.collectors.traffic.protocols.replay import talk


def test_an_empty_transaction_has_no_buffers() -> None:
    tx = HttpTransaction(0, Limits())
    assert all(tx.buffers(name, side) == [] for name in BUFFERS for side in (False, True))


@pytest.mark.parametrize("seed", range(40))
def test_what_h11_writes_is_read_back(seed: int) -> None:
    """h11 is the oracle: requests and responses that it makes, in pieces of any size, come back field by field."""
    chance = random.Random(seed)
    stream, expected = [b"", b""], []
    for number in range(chance.randrange(1, 5)):
        bodies = [chance.randbytes(chance.choice((0, 1, 300, 5000))) for _ in range(2)]
        fields = [[("Host", "h")], []]
        for side in (0, 1):
            fields[side] += [
                (f"X-{chance.randrange(1000)}-{index}", f"v{chance.randrange(99)}")
                for index in range(chance.randrange(4))
            ]
            fields[side].append(
                ("Transfer-Encoding", "chunked")
                if chance.random() < 0.5
                else ("Content-Length", str(len(bodies[side])))
            )
        target = f"/p{number}?q={chance.randrange(99)}"
        status = chance.choice((200, 404, 500))
        heads = (
            h11.Request(method="POST", target=target, headers=fields[0]),
            h11.Response(status_code=status, headers=fields[1], reason="R"),
        )
        for side, connection in enumerate((h11.Connection(h11.CLIENT), _asked_server(target))):
            stream[side] += connection.send(heads[side]) or b""
            stream[side] += (connection.send(h11.Data(data=bodies[side])) or b"") if bodies[side] else b""
            stream[side] += connection.send(h11.EndOfMessage()) or b""
        expected.append((target.encode(), str(status).encode(), bodies))
    said = []
    for side in (0, 1):
        data = stream[side]
        while data:
            size = chance.choice((1, 10, 100, 5000))
            said.append((bool(side), data[:size]))
            data = data[size:]
    found = talk("http", *said).conversation.transactions
    assert [(tx.buffers("http.uri", False)[0], tx.buffers("http.stat_code", True)[0]) for tx in found] == [
        each[:2] for each in expected
    ]
    for tx, (_, _, bodies) in zip(found, expected, strict=True):
        assert tx.buffers("http.request_body", False) == [body for body in bodies[:1] if body]
        assert tx.buffers("http.response_body", True) == [body for body in bodies[1:] if body]
        assert tx.events == []


def _asked_server(target: str) -> h11.Connection:
    """Return a server that has just been asked for `target`: h11 answers nothing that nobody asked for."""
    server = h11.Connection(h11.SERVER)
    server.receive_data(f"POST {target} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode())
    server.next_event()
    server.next_event()
    return server
