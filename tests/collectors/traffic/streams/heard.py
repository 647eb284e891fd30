"""Short conversations with one thing out of the ordinary; and the events that they lead to, both ways of looking being of one mind."""

from collectors.traffic.streams.options import StreamOptions
from tests.collectors.traffic.streams.talk import ACK, SYN, Listener, packet

CLIENT, SERVER = False, True
OPENING = [packet(CLIENT, SYN, 100), packet(SERVER, SYN | ACK, 900, 101), packet(CLIENT, ACK, 101, 901)]


def events(packets: list[bytes], **options: bool) -> list[str]:
    """Return the names of the events, block by block of one packet and in one block alike."""
    names = []
    for careful in (False, True):
        for each in (False, True):
            listener = Listener(StreamOptions(**options), careful)  # type: ignore[arg-type]
            for block in [[one] for one in packets] if each else [packets]:
                listener.hear(block)
            names.append([name for _, name in listener.events()])
    assert all(one == names[0] for one in names)
    return names[0]


def accepted(packets: list[bytes], **options: bool) -> list[bool]:
    """Return which packets were accepted."""
    listener = Listener(StreamOptions(**options))  # type: ignore[arg-type]
    listener.hear(packets)
    return listener.accepted()
