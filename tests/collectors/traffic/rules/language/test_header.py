"""The header of a rule: actions, protocols with hooks, directions, and groups with blanks in them."""

import pytest

from collectors.traffic.rules.language.errors import Refused
from collectors.traffic.rules.language.header import Headers
from collectors.traffic.rules.language.variables import Variables

HEADERS = Headers(Variables())


def test_blanks_inside_brackets_belong_to_the_group() -> None:
    found = HEADERS.read("drop tcp [10.0.0.0/8, ! 10.1.0.0/16] any -> any [80, 443]")
    assert found.action == "drop" and found.destination_ports.ranges == ((80, 80), (443, 443))
    assert found.source.v4 == ((0x0A000000, 0x0A00FFFF), (0x0A020000, 0x0AFFFFFF))


@pytest.mark.parametrize(
    ("word", "protocol", "hook"),
    [
        ("tcp:flow_start", "tcp", "flow_start"),
        ("tls:client_hello_done", "tls", "client_hello_done"),
        ("dns:request_complete", "dns", "request_complete"),
        ("HTTP", "http", ""),
        ("ssl", "tls", ""),
    ],
)
def test_protocols_and_hooks(word: str, protocol: str, hook: str) -> None:
    found = HEADERS.read(f"alert {word} any any -> any any")
    assert (found.protocol, found.hook) == (protocol, hook)


def test_equal_headers_share_their_sets() -> None:
    one, two = (HEADERS.read(f"alert {name} $HOME_NET any -> any any") for name in ("tcp", "udp"))
    assert one.source is two.source and HEADERS.read("alert tcp $HOME_NET any -> any any") is one


@pytest.mark.parametrize(
    "text",
    [
        "alert tcp any any -> any",
        "alert tcp any any -> any any any",
        "jump tcp any any -> any any",
        "alert xyz any any -> any any",
        "alert tcp any any <- any any",
        "alert tcp any any => any any",
        "alert tcp:nowhere any any -> any any",
        "alert tcp-pkt:flow_start any any -> any any",
        "alert arp 10.0.0.1 any -> any any",
        "",
    ],
)
def test_headers_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Refused):
        HEADERS.read(text)
