"""Nobody crosses: each worker's process, taken over, tries what an attacker would; and what the kernel says it still holds."""

import ctypes
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agent import kernel
from agent.privileges import WORKERS, account, names
from host.linux import LinuxHost

NAMES = sorted(WORKERS)


class Iov(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def somewhere_in(pid: int) -> int:
    """Return an address of `pid`'s heap or stack; any attacker can guess one."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return int(re.search(r"^([0-9a-f]+)-.*\[(?:heap|stack)\]", maps, re.M)[1], 16)


def read_mem(pid: int, address: int) -> str:
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    return os.pread(memory, 16, address).hex()


def vm_read(pid: int, address: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(16)
    ours, theirs = Iov(ctypes.addressof(buffer), 16), Iov(address, 16)
    if libc.process_vm_readv(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) < 0:
        raise OSError(ctypes.get_errno(), "process_vm_readv")
    return buffer.raw.hex()


def trace(pid: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(16, pid, 0, 0) < 0:  # PTRACE_ATTACH
        raise OSError(ctypes.get_errno(), "ptrace")
    return "attached"


def core_like() -> subprocess.Popen:
    """A process as the core is: a user of its own, no privileges, not dumpable."""
    code = (
        "import sys; from agent import privileges as p; p.drop(p.account('core', 'holdfast-no-such-user'));"
        "print('ready', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"ready\n"
    return child


@pytest.fixture
def core():
    child = core_like()
    yield child.pid
    child.communicate()


@pytest.fixture
def state():
    """The agent's state directory with its key, as the core has it."""
    folder = Path(f"/var/tmp/holdfast-state-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir(mode=0o700)
    (folder / "key").write_text("secret")
    (folder / "key").chmod(0o600)
    yield folder
    (folder / "key").unlink()
    folder.rmdir()


@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_says_that_a_worker_holds_only_what_it_should(take_over, name):
    worker = take_over({})(name)
    status, wanted = worker.status(), WORKERS[name]
    held = set(wanted.capabilities) - ({"CAP_SYS_PTRACE"} if wanted.eyes else set())
    assert status["Uid"].split() == [str(worker.ready.uid)] * 4 and worker.ready.uid != 0
    assert status["Gid"].split()[0] != "0" and status["Groups"] == ""
    assert names(int(status["CapEff"], 16)) == held
    assert names(int(status["CapPrm"], 16)) == held
    assert names(int(status["CapAmb"], 16)) == set(wanted.ambient)
    assert names(int(status["CapBnd"], 16)) == set(wanted.capabilities)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert worker.ready.lost == ()


def test_every_worker_has_a_user_of_its_own(take_over):
    start = take_over({})
    assert len({start(name).ready.uid for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_no_worker_reads_the_memory_of_the_core_or_of_another_worker(take_over, core, name):
    bystander = next(other for other in NAMES if other != name)
    target = {"pid": core, "address": somewhere_in(core)}
    attacks = {
        "mem": lambda host: read_mem(**target),
        "vm": lambda host: vm_read(**target),
        "ptrace": lambda host: trace(target["pid"]),
        "root": lambda host: os.listdir(f"/proc/{target['pid']}/root/root"),
        "descriptors": lambda host: [
            os.readlink(f"/proc/{target['pid']}/fd/{n}") for n in os.listdir(f"/proc/{target['pid']}/fd")
        ],
        "environment": lambda host: Path(f"/proc/{target['pid']}/environ").read_bytes(),
    }
    worker = take_over(attacks)(name)
    for attack in attacks:
        assert worker.run(attack).startswith("refused"), (attack, worker.run(attack))
    other = take_over({})(bystander)
    target.update(pid=other.ready.pid, address=somewhere_in(other.ready.pid))
    again = take_over(attacks)(name)
    for attack in attacks:
        assert again.run(attack).startswith("refused"), (attack, again.run(attack))


def test_the_attacks_work_where_nothing_forbids_them(core):
    """What the tests above refuse is refused by the privileges, not by a mistake in the attack."""
    address = somewhere_in(core)
    assert read_mem(core, address) == vm_read(core, address)
    assert os.listdir(f"/proc/{core}/root/root") is not None


@pytest.mark.parametrize("name", NAMES)
def test_no_worker_connects_to_another_workers_socket(take_over, listening, name):
    def connect(host):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(listening))
        return "connected"

    # Who may write every file may connect to every socket that he sees: such a worker's unit hides them (InaccessiblePaths=).
    sees_all = "CAP_DAC_OVERRIDE" in WORKERS[name].capabilities
    worker = take_over({"connect": connect}, hidden=(str(listening.parent),) if sees_all else ())(name)
    said = worker.run("connect")
    assert said.startswith("refused") and ("No such file" in said) == sees_all


@pytest.mark.parametrize("name", NAMES)
def test_no_worker_reads_the_agents_state_not_even_by_handle(take_over, state, name):
    libc = ctypes.CDLL(None, use_errno=True)
    handle = ctypes.create_string_buffer(136)
    handle[0] = b"\x80"
    mount_id = ctypes.c_int()
    assert libc.name_to_handle_at(-100, os.fsencode(state / "key"), handle, ctypes.byref(mount_id), 0) == 0

    def by_handle(host):
        mount = os.open("/var/tmp", os.O_RDONLY)
        found = libc.open_by_handle_at(mount, handle, os.O_RDONLY)
        if found < 0:
            raise OSError(ctypes.get_errno(), "open_by_handle_at")
        return os.read(found, 10).decode()

    attacks = {
        "read": lambda host: (state / "key").read_text(),
        "list": lambda host: os.listdir(state),
        "write": lambda host: (state / "planted").write_text("x"),
        "unmount": lambda host: kernel.mount("none", str(state), "tmpfs", 0),
        "handle": by_handle,
        "shadow-root": lambda host: (Path("/proc/1/root") / str(state)[1:] / "key").read_text(),
    }
    worker = take_over(attacks, hidden=(str(state),))(name)
    said = {attack: worker.run(attack) for attack in attacks}
    # A folder that is hidden looks empty to who may read every folder; what matters is that nothing of it is there.
    assert said["list"].startswith("refused") or said["list"] == "ok: []"
    assert all(answer.startswith("refused") for attack, answer in said.items() if attack != "list"), said


@pytest.mark.parametrize("name", NAMES)
def test_no_worker_wins_privileges_back(take_over, name):
    def by_tool(host):
        done = subprocess.run(["/usr/bin/su", "-c", "id -u"], capture_output=True, timeout=5, input=b"")
        if done.returncode:
            raise PermissionError(done.stderr.decode())
        return done.stdout.decode()

    attacks = {
        "setuid": lambda host: os.setuid(0),
        "capset": lambda host: kernel.capset(1 << 21, 1 << 21, 0),
        "ambient": lambda host: kernel.prctl(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_RAISE, 21),
        "namespace": lambda host: kernel.unshare(0x10000000),
        "dump": lambda host: kernel.prctl(kernel.PR_SET_SECUREBITS, 0),
        "su": by_tool,
    }
    worker = take_over(attacks)(name)
    for attack in attacks:
        assert worker.run(attack).startswith("refused"), (attack, worker.run(attack))


def test_the_reader_sees_through_its_eyes_what_it_cannot_see_itself(take_over, core):
    attacks = {
        "own": lambda host: os.readlink(f"/proc/{core}/exe"),
        "eyes": lambda host: host.processes.describe([core]),
        "capabilities": lambda host: sorted(host.capabilities()),
    }
    reader = take_over(attacks)("reader")
    assert reader.run("own").startswith("refused")
    assert reader.run("eyes").startswith("ok")
    assert "CAP_SYS_PTRACE" in reader.run("capabilities")


def test_the_reader_cannot_take_over_its_eyes(take_over):
    def children(host):
        return Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()[0]

    attacks = {
        "mem": lambda host: read_mem(int(children(host)), 0x400000),
        "vm": lambda host: vm_read(int(children(host)), 0x400000),
        "ptrace": lambda host: trace(int(children(host))),
        "descriptors": lambda host: os.listdir(f"/proc/{children(host)}/fd/"),
        "link": lambda host: os.readlink(f"/proc/{children(host)}/fd/0"),
    }
    reader = take_over(attacks | {"children": children})("reader")
    assert reader.run("children").startswith("ok")
    for attack in ("mem", "vm", "ptrace", "link"):
        assert reader.run(attack).startswith("refused"), (attack, reader.run(attack))


def test_a_worker_writes_in_its_own_folder_and_no_other_worker_sees_it(take_over, tmp_path):
    own = tmp_path / "netfilter"
    own.mkdir(mode=0o700)
    os.chown(own, account("netfilter", WORKERS["netfilter"].user).uid, -1)
    (own / "bans.json").write_text("[]")

    def keep(host):
        folder = LinuxHost().state
        (Path(folder) / "kept").write_text("x")
        return folder

    attacks = {"keep": keep, "read": lambda host: (own / "bans.json").read_text()}
    workers = take_over(attacks, folders={"netfilter": str(own)})
    assert workers("netfilter").run("keep") == f"ok: {own}"
    assert (own / "kept").read_text() == "x"
    reader = workers("reader")
    assert reader.run("keep").startswith("refused") and reader.run("read").startswith("refused")
