"""The running sensor tries what an intruder in it would try: system calls are made in it from outside, and the kernel answers."""

import errno
import os
import socket
import struct
import subprocess
from pathlib import Path

from tests.agent.injected_calls import Held, held
from tests.agent.test_traffic_end_to_end import SERVER, Site, site

__all__ = ["site"]

HERE = (1 << 64) - 100
"""AT_FDCWD"""
UNIX, INET, NETLINK, PACKET = 1, 2, 16, 17
READ, MAKE = os.O_RDONLY, os.O_CREAT | os.O_WRONLY
PEER = struct.pack("=H", INET) + struct.pack(">H", 80) + socket.inet_aton(SERVER) + bytes(8)
OF_UNIX = struct.pack("=H", UNIX) + b"/run/x\0"


def answers(process: Held, folder: bytes) -> dict[str, int]:
    """Return what the kernel says to each try, made by the process itself."""
    file, made = folder + b"/known\0", folder + b"/made\0"
    return {
        "read a file": process.call(257, HERE, file, READ, 0),
        "read a file, the old way": process.call(2, file, READ, 0),
        "make a file": process.call(257, HERE, made, MAKE, 0o600),
        "make a folder": process.call(83, made, 0o700),
        "remove a file": process.call(87, file),
        "run a program": process.call(59, b"/nonexistent\0", 0, 0),
        "make an internet socket": process.call(41, INET, socket.SOCK_STREAM, 0),
        "make a netlink socket": process.call(41, NETLINK, socket.SOCK_RAW, 0),
        "connect": process.call(42, 999, PEER, len(PEER)),
        "send to an address": process.call(44, 999, b"x", 1, 0, OF_UNIX, len(OF_UNIX)),
        "send descriptors": process.call(46, 999, 0, 0),
        "listen": process.call(50, 999, 1),
        "trace another": process.call(101, 16, 1, 0, 0),
        "enter a namespace": process.call(272, 0x40000000),
    }


def test_inside_the_running_sensor_every_way_to_files_programs_and_others_is_refused(
    site: Site, tmp_path: Path
) -> None:
    agent = site.start()
    pid = agent.worker("sensor")["pid"]
    folder = agent.folder / "open"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "known").write_text("x")
    (folder / "known").chmod(0o666)
    with held(pid) as process:
        assert process.call(39) == pid, "the call is really made in the sensor"
        found = answers(process, bytes(folder))
        unix = process.call(41, UNIX, socket.SOCK_STREAM, 0)
        packet = process.call(41, PACKET, socket.SOCK_RAW, 0)
        assert unix >= 0 and packet >= 0, "what it needs, it may: its interfaces come back"
        assert process.call(3, unix) == process.call(3, packet) == 0
    assert found == dict.fromkeys(found, -errno.EPERM)
    assert sorted(one.name for one in folder.iterdir()) == ["known"]
    site.curl("/?file=/etc/passwd")
    assert agent.event("traffic.alert", 30)["fields"]["sid"] == 9000001, "it watches on"
    assert (agent.worker("sensor")["pid"], agent.worker("sensor")["restarts"]) == (pid, 0)


def test_the_same_calls_in_a_process_without_walls_are_answered_otherwise(tmp_path: Path) -> None:
    """Else the test above would prove nothing."""
    (tmp_path / "known").write_text("x")
    waiting = subprocess.Popen(["sleep", "60"])
    try:
        while not Path(f"/proc/{waiting.pid}/wchan").read_text().startswith(("hrtimer", "do_nanosleep")):
            assert waiting.poll() is None
        with held(waiting.pid) as process:
            assert process.call(39) == waiting.pid
            found = answers(process, bytes(tmp_path))
    finally:
        waiting.kill()
        waiting.wait()
    assert -errno.EPERM not in [answer for what, answer in found.items() if what != "trace another"], found
    assert found["read a file"] >= 0 and found["run a program"] == -errno.ENOENT
