"""What else is on a packet's way is named where it is there, and only there."""

import json
import subprocess
from typing import Any

import pytest

from collectors.firewall import datapath_network, datapath_programs
from collectors.firewall.datapath_rows import Sheet
from contracts.coverage import Blind
from contracts.errors import Unavailable, Why
from contracts.host import Completed, PacketProgram, PacketPrograms


def look(netns: Any) -> Sheet:
    sheet = Sheet({})
    datapath_network.read(netns, sheet, 1000)
    datapath_programs.read(netns, sheet)
    return sheet


def programs(sheet: Sheet) -> dict[str, str]:
    return {key: row.text for key, row in sheet.rows.items() if row.what == "program"}


def test_a_host_without_any_names_none(netns) -> None:
    netns.run("tc", "qdisc", "add", "dev", "lo", "root", "pfifo")
    sheet = look(netns)
    assert programs(sheet) == {}
    assert sheet.spots() == ()


def test_a_bpf_filter_of_tc_is_named(netns) -> None:
    netns.run("tc", "qdisc", "add", "dev", "lo", "clsact")
    netns.run("tc", "filter", "add", "dev", "lo", "ingress", "bpf", "da", "bytecode", "1,6 0 0 0")
    assert programs(look(netns)) == {'program tc "lo ingress"': "tc ingress of lo: bpf"}


def test_a_filter_that_only_sorts_into_classes_is_none(netns) -> None:
    netns.run("tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb")
    sort = "protocol ip u32 match ip dst 10.0.0.0/8 flowid 1:1"
    netns.run("tc", "filter", "add", "dev", "lo", "parent", "1:", *sort.split(" "))
    assert programs(look(netns)) == {}


def test_a_filter_with_an_action_is_named_and_its_counts_are_no_change(netns) -> None:
    shot = {"kind": "gact", "control_action": {"type": "drop"}, "stats": {"packets": 7}, "installed": 9}
    filters = [
        {"kind": "flower", "pref": 1, "chain": 0},
        {"kind": "flower", "pref": 1, "options": {"keys": {}, "actions": [shot]}},
    ]
    ask = netns.ask

    def answer(*argv: str, **limits: Any) -> Completed:
        if argv[:3] == ("tc", "-j", "qdisc"):
            body: Any = [{"kind": "ingress", "dev": "lo"}]
        elif argv[0] == "tc":
            body = filters
        else:
            return ask(*argv, **limits)  # type: ignore[no-any-return]
        return Completed(argv=argv, code=0, stdout=json.dumps(body).encode(), stderr=b"")

    netns.ask = answer
    sheet = look(netns)
    assert programs(sheet) == {'program tc "lo ingress"': "tc ingress of lo: flower gact"}
    (row,) = [row for row in sheet.rows.values() if row.what == "program"]
    assert "packets" not in row.document
    assert "installed" not in row.document


def test_programs_of_cgroups_and_tcx_are_named(netns) -> None:
    netns.attached = PacketPrograms(
        programs=(
            PacketProgram(kind="cgroup", place="/system.slice", direction="ingress", ids=(7, 8)),
            PacketProgram(kind="tcx", place="eth0", direction="egress", ids=(9,)),
        ),
        blind=(Blind(what="more", why=Why.TOO_LARGE),),
    )
    sheet = look(netns)
    assert programs(sheet) == {
        'program cgroup "/system.slice ingress"': "BPF programs 7, 8 at ingress of /system.slice",
        'program tc "eth0 egress"': "BPF program 9 at egress of eth0",
    }
    assert sheet.spots() == netns.attached.blind


def test_a_program_of_one_unit_is_named_with_what_systemd_says_it_does(netns) -> None:
    place = "/system.slice/a.service"
    one = PacketProgram(kind="cgroup", place=place, direction="ingress", ids=(7,), unit="a.service")
    netns.attached = PacketPrograms(programs=(one,))
    said = b"Id=a.service\nIPAddressDeny=::/0 0.0.0.0/0\nIPAddressAllow=127.0.0.0/8\n"
    netns.broken["systemctl"] = Completed(argv=("systemctl",), code=0, stdout=said, stderr=b"")
    text = "BPF program 7 at ingress of a.service"
    what = " (IPAddressDeny=::/0 0.0.0.0/0, IPAddressAllow=127.0.0.0/8)"
    assert programs(look(netns)) == {'program unit "a.service ingress"': text + what}
    netns.broken["systemctl"] = Unavailable(Why.TOOL_MISSING, "systemctl is not installed")
    assert programs(look(netns)) == {'program unit "a.service ingress"': text}


XDP = r"""
import ctypes, os, socket, struct, sys
def bpf(command, attribute):
    held = ctypes.create_string_buffer(attribute, len(attribute))
    number = {"x86_64": 321, "aarch64": 280}[os.uname().machine]
    answer = ctypes.CDLL(None, use_errno=True).syscall(number, command, held, len(attribute))
    assert answer >= 0, os.strerror(ctypes.get_errno())
    return answer
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0), 16)
licence = ctypes.create_string_buffer(b"GPL")
attribute = struct.pack("=IIQQIIQII16s", 6, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0, b"shield")
program = bpf(5, attribute)
link = bpf(28, struct.pack("=IIII", program, socket.if_nametoindex("lo"), 37, 0))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_real_xdp_program_is_named(netns) -> None:
    inside = ("nsenter", f"--net=/run/netns/{netns.name}", "--", "/usr/bin/python3", "-c", XDP)
    with subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        found = programs(look(netns))
        process.communicate()
    assert found == {"program xdp lo": "XDP of lo: shield"}
    assert programs(look(netns)) == {}


def test_xdp_is_named_by_its_link(netns) -> None:
    sheet = Sheet({})
    link = {"ifname": "eth0", "xdp": {"mode": 1, "prog": {"id": 5, "name": "shield"}}}
    sheet.put("link", "eth0", document=json.dumps(link))
    datapath_programs.read(netns, sheet)
    assert programs(sheet) == {"program xdp eth0": "XDP of eth0: shield"}


@pytest.mark.parametrize(
    "failure",
    [Unavailable(Why.TOOL_MISSING, "tc is not installed"), Completed(argv=("tc",), code=0, stdout=b"{", stderr=b"")],
)
def test_filters_that_cannot_be_looked_for_are_a_blind_spot(netns, failure) -> None:
    netns.broken["tc"] = failure
    (spot,) = look(netns).spots()
    assert spot.what == "filters of tc on the way of packets"
    assert spot.fix


def test_programs_that_may_not_be_asked_for_are_a_blind_spot(netns) -> None:
    netns.attached = Unavailable(Why.PERMISSION, "bpf(2) may not be asked", advice="allow it")
    (spot,) = look(netns).spots()
    assert (spot.why, spot.fix) == (Why.PERMISSION, "allow it")
