"""What lies in a capture file, layer by layer, as scapy names it: for people who look at evidence; never on the way of live packets."""

import io
from collections.abc import Iterator

MAX_HEX = 512
"""Bytes of each packet's payload that are shown."""


def dissect(capture: bytes, full: bool = False) -> Iterator[str]:
    """Yield lines of text: a summary of each packet; with `full` all fields of its layers and its payload's beginning.

    Raises `ValueError` for what is no capture.
    """
    import scapy.all  # noqa: F401  # fills scapy's table of layers
    from scapy.error import Scapy_Exception
    from scapy.packet import Packet, Raw
    from scapy.utils import PcapReader, hexdump

    def packets() -> Iterator[Packet]:
        try:
            with PcapReader(io.BytesIO(capture)) as reader:  # type: ignore[arg-type]  # it takes open files, too
                yield from reader
        except (Scapy_Exception, EOFError) as error:
            raise ValueError(f"not a capture file: {error}") from error

    for number, packet in enumerate(packets(), 1):
        yield f"{number}  {float(packet.time):.6f}  {packet.summary()}"
        if full:
            yield from (packet.show(dump=True) or "").splitlines()
            if Raw in packet:
                yield from (hexdump(packet[Raw].load[:MAX_HEX], dump=True) or "").splitlines()
