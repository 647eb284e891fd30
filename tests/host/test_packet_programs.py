"""BPF programs of cgroups are found where the kernel really runs them, and nothing else is taken for one."""

import ctypes
import os
import socket
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host import packet_programs
from host.packet_programs import LinuxProgramTable

_BPF = packet_programs._CALLS[os.uname().machine]
_LOAD, _ATTACH, _DETACH = 5, 8, 9
_CGROUP_SKB, _CGROUP_SOCK = 8, 9


def bpf(command: int, attribute: bytes) -> int:
    held = ctypes.create_string_buffer(attribute, len(attribute))
    answer: int = ctypes.CDLL(None, use_errno=True).syscall(_BPF, command, held, len(attribute))
    assert answer >= 0, os.strerror(ctypes.get_errno())
    return answer


def load(kind: int) -> int:
    """Load a program that lets everything pass: `r0 = 1; exit`."""
    code = ctypes.create_string_buffer(struct.pack("=BBhi", 0xB7, 0, 0, 1) + struct.pack("=BBhi", 0x95, 0, 0, 0), 16)
    licence = ctypes.create_string_buffer(b"GPL")
    return bpf(_LOAD, struct.pack("=IIQQ", kind, 2, ctypes.addressof(code), ctypes.addressof(licence)) + bytes(48))


@pytest.fixture
def cgroup() -> Iterator[Path]:
    root = packet_programs._root()
    assert root, "this machine has no cgroups of version 2"
    folder = Path(os.fsdecode(root)) / f"hf-test-{uuid.uuid4().hex[:8]}"
    folder.mkdir()
    yield folder
    folder.rmdir()


def found(cgroup: Path) -> list[tuple[str, tuple[int, ...]]]:
    programs = LinuxProgramTable().on_packets()
    assert programs.blind == ()
    return [(one.direction, one.ids) for one in programs.programs if one.place == f"/{cgroup.name}"]


@pytest.mark.parametrize(("attach", "direction"), [(0, "ingress"), (1, "egress")])
def test_a_program_that_sees_packets_is_found(cgroup: Path, attach: int, direction: str) -> None:
    assert found(cgroup) == []
    program, target = load(_CGROUP_SKB), os.open(cgroup, os.O_RDONLY)
    bpf(_ATTACH, struct.pack("=IIII", target, program, attach, 0))
    ((where, ids),) = found(cgroup)
    assert (where, len(ids)) == (direction, 1)
    bpf(_DETACH, struct.pack("=IIII", target, program, attach, 0))
    assert found(cgroup) == []
    os.close(program)
    os.close(target)


def test_a_program_that_sees_no_packets_is_not_named(cgroup: Path) -> None:
    program, target = load(_CGROUP_SOCK), os.open(cgroup, os.O_RDONLY)
    bpf(_ATTACH, struct.pack("=IIII", target, program, 2, 0))  # BPF_CGROUP_INET_SOCK_CREATE
    assert found(cgroup) == []
    bpf(_DETACH, struct.pack("=IIII", target, program, 2, 0))
    os.close(program)
    os.close(target)


def test_the_cgroup_of_a_unit_bears_its_name(cgroup: Path) -> None:
    unit = cgroup / "hf.service"
    unit.mkdir()
    program, target = load(_CGROUP_SKB), os.open(unit, os.O_RDONLY)
    bpf(_ATTACH, struct.pack("=IIII", target, program, 0, 0))
    (one,) = packet_programs._of_cgroups(os.fsencode(unit.parent), [])
    assert (one.place, one.unit) == ("/hf.service", "hf.service")
    bpf(_DETACH, struct.pack("=IIII", target, program, 0, 0))
    os.close(program)
    os.close(target)
    unit.rmdir()


def test_a_cgroup_that_goes_meanwhile_is_none(cgroup: Path) -> None:
    gone = os.fsencode(cgroup / "gone")
    assert list(packet_programs._of_cgroups(gone, [])) == []


TCX = r"""
import ctypes, json, os, socket, struct
from host.packet_programs import LinuxProgramTable, _CALLS
def bpf(command, attribute):
    held = ctypes.create_string_buffer(attribute, len(attribute))
    answer = ctypes.CDLL(None, use_errno=True).syscall(_CALLS[os.uname().machine], command, held, len(attribute))
    assert answer >= 0, os.strerror(ctypes.get_errno())
    return answer
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0), 16)
licence = ctypes.create_string_buffer(b"GPL")
program = bpf(5, struct.pack("=IIQQ", 3, 2, ctypes.addressof(code), ctypes.addressof(licence)) + bytes(48))
link = bpf(28, struct.pack("=IIIIQQ", program, socket.if_nametoindex("lo"), 47, 0, 0, 0))
found = [[one.place, one.direction, len(one.ids)] for one in LinuxProgramTable().on_packets().programs if one.kind == "tcx"]
print(json.dumps(found))
"""


def test_a_program_of_tcx_is_found(netns: Any) -> None:
    assert netns.python(TCX) == [["lo", "egress", 1]]


SK_LOOKUP = r"""
import ctypes, json, os, struct
from host.packet_programs import LinuxProgramTable, _CALLS
def bpf(command, attribute):
    held = ctypes.create_string_buffer(attribute, len(attribute))
    answer = ctypes.CDLL(None, use_errno=True).syscall(_CALLS[os.uname().machine], command, held, len(attribute))
    assert answer >= 0, os.strerror(ctypes.get_errno())
    return answer
code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 1, 0x95, 0, 0, 0), 16)
licence = ctypes.create_string_buffer(b"GPL")
head = struct.pack("=IIQQIIQII16sII", 30, 2, ctypes.addressof(code), ctypes.addressof(licence), 0, 0, 0, 0, 0, b"steer", 0, 36)
program = bpf(5, head + bytes(8))
before = [one.kind for one in LinuxProgramTable().on_packets().programs]
link = bpf(28, struct.pack("=IIIIQQ", program, os.open("/proc/self/ns/net", os.O_RDONLY), 36, 0, 0, 0))
found = [[one.place, one.direction, len(one.ids)] for one in LinuxProgramTable().on_packets().programs if one.kind == "sk_lookup"]
print(json.dumps([before.count("sk_lookup"), found]))
"""


def test_a_program_that_chooses_sockets_is_found(netns: Any) -> None:
    assert netns.python(SK_LOOKUP) == [0, [["the lookup of sockets", "ingress", 1]]]


def test_every_interface_is_asked() -> None:
    assert all(isinstance(packet_programs._query(index, 46), tuple) for index, _ in socket.if_nameindex())


REFUSED = """
import json
from contracts.errors import Unavailable
from host.packet_programs import LinuxProgramTable
try:
    LinuxProgramTable().on_packets()
except Unavailable as error:
    print(json.dumps([error.why, error.message]))
"""


def test_whoever_may_not_ask_says_so(netns: Any) -> None:
    why, message = netns.python(REFUSED, capabilities=())
    assert why == "permission"
    assert "bpf(2)" in message
