"""IPsec policies as iproute2 prints them, read in a namespace, and what follows where they cannot be read."""

from typing import Any

import pytest

from collectors.firewall import datapath_xfrm
from collectors.firewall.datapath_rows import Sheet
from contracts.errors import Unavailable, Why
from contracts.host import Completed

ANY = ("src", "0.0.0.0/0", "dst", "0.0.0.0/0")
DEFAULTS = b"Default policies:\n in:  accept\n fwd: accept\n out: accept\n"


def look(netns: Any) -> Sheet:
    sheet = Sheet({})
    datapath_xfrm.read(netns, sheet)
    return sheet


def texts(sheet: Sheet) -> dict[str, str]:
    return {key: row.text for key, row in sheet.rows.items()}


def answering(
    netns: Any, stdout: bytes = b"", stderr: bytes = b"", code: int = 0, defaults: Completed | None = None
) -> Any:
    """Let ip answer what is given; how it is asked stays the same."""

    def ask(*argv: str, **_: Any) -> Completed:
        if argv[-1] == "getdefault":
            return defaults or Completed(argv=argv, code=0, stdout=DEFAULTS, stderr=b"")
        return Completed(argv=argv, code=code, stdout=stdout, stderr=stderr)

    netns.ask = ask
    return netns


def test_a_namespace_without_ipsec_has_no_rows_and_no_blind_spot(netns) -> None:
    sheet = look(netns)
    assert (sheet.rows, sheet.spots()) == ({}, ())


def test_policies_are_rows_with_their_templates_and_marks(netns) -> None:
    add = ("ip", "xfrm", "policy", "add", "dir")
    netns.run(*add, "in", *ANY, "action", "block", "priority", "1")
    netns.run(*add, "in", *ANY, "proto", "tcp", "dport", "22", "mark", "5", "mask", "0xff")
    netns.run(
        *add, "out", "src", "2001:db8::/32", "dst", "::/0", "tmpl", "src", "2001:db8::1", "dst", "2001:db8::2",
        "proto", "esp", "reqid", "1", "mode", "tunnel",
    )  # fmt: skip
    found = texts(look(netns))
    assert sorted(found) == [
        "xfrm in 0.0.0.0/0 0.0.0.0/0",
        "xfrm in 0.0.0.0/0 0.0.0.0/0 2",
        "xfrm out 2001:db8::/32 ::/0",
    ]
    assert sorted(text for key, text in found.items() if " in " in key) == [
        "src 0.0.0.0/0 dst 0.0.0.0/0 dir in action block priority 1 ptype main",
        "src 0.0.0.0/0 dst 0.0.0.0/0 proto tcp dport 22 dir in priority 0 ptype main mark 0x5/0xff",
    ]
    (sealed,) = [text for key, text in found.items() if " out " in key]
    assert sealed.endswith("tmpl src 2001:db8::1 dst 2001:db8::2 proto esp reqid 1 mode tunnel")


def test_a_default_is_a_row_when_it_blocks(netns) -> None:
    netns.run("ip", "xfrm", "policy", "setdefault", "in", "block")
    assert texts(look(netns)) == {"xfrm default in": "default in block"}


def test_a_policy_of_one_socket_is_a_row_too(netns) -> None:
    told = b"src 0.0.0.0/0 dst 0.0.0.0/0 \n\tsocket in priority 0 ptype main \n"
    assert list(look(answering(netns, told)).rows) == ["xfrm socket 0.0.0.0/0 0.0.0.0/0"]


@pytest.mark.parametrize(
    "said", [b"Cannot open netlink socket: Protocol not supported\n", b"Address family not supported by protocol"]
)
def test_a_kernel_without_ipsec_has_none(netns, said: bytes) -> None:
    sheet = look(answering(netns, stderr=said, code=1))
    assert (sheet.rows, sheet.spots()) == ({}, ())


def test_a_kernel_that_knows_no_defaults_accepts(netns) -> None:
    old = Completed(argv=("ip",), code=2, stdout=b"", stderr=b"RTNETLINK answers: Invalid argument\n")
    sheet = look(answering(netns, defaults=old))
    assert (sheet.rows, sheet.spots()) == ({}, ())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"RTNETLINK answers: Operation not permitted\n", Why.OTHER),
        (b'Command "policy" is unknown, try "ip xfrm help".\n', Why.INCOMPATIBLE),
        (b"", Why.OTHER),
    ],
)
def test_what_cannot_be_asked_is_a_blind_spot(netns, said: bytes, why: Why) -> None:
    sheet = look(answering(netns, stderr=said, code=2))
    (spot,) = sheet.spots()
    assert (sheet.rows, spot.why) == ({}, why)
    assert spot.what.startswith("IPsec policies")
    assert spot.fix


def test_a_tool_that_is_not_there_is_a_blind_spot(netns) -> None:
    netns.broken["ip"] = Unavailable(Why.TOOL_MISSING, "ip is not installed", advice="install iproute2")
    (spot,) = look(netns).spots()
    assert (spot.why, spot.fix) == (Why.TOOL_MISSING, "install iproute2")


def test_of_very_many_policies_the_rest_is_not_read_and_that_is_said(netns) -> None:
    told = b"".join(
        b"src 10.%d.%d.0/24 dst 0.0.0.0/0 \n\tdir in priority 1 \n" % (n >> 8, n & 255) for n in range(2003)
    )
    sheet = look(answering(netns, told))
    assert len(sheet.rows) == 2001
    assert sheet.rows["xfrm"].unread == "2003 policies, more than 2000"
    assert sheet.spots()[0].what.startswith("3 IPsec policies")
