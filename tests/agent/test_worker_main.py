"""The lean way into a worker."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agent import worker_main
from agent.framing import core_codec, read_frame, worker_codec, write_frame
from agent.worker_main import core_uids, main
from contracts.frames import PROTOCOL, Goodbye, Hello, Ping

ROOT = Path(__file__).parents[2]

# What systemd does: the socket as descriptor 3, the variables, then the program; `{}` is how the program is called.
START = """
import os
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="reader")
os.execv({0!r}, [{0!r}, *{1!r}])
"""


def start(*arguments):
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", START.format(sys.executable, arguments)],
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
            close_fds=False,
            cwd=ROOT,
        )
    return process, ours


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "agent.worker_main", "reader"),
        ("-c", "from agent.cli.worker import worker; worker(['reader'])"),
    ],
)
def test_both_ways_lead_to_a_lean_worker(arguments):
    process, core = start(*arguments)
    core.settimeout(20)
    write_frame(core, core_codec().encode(Hello(protocol=PROTOCOL, options={})))
    ready = worker_codec().decode(read_frame(core))
    assert (ready.worker, ready.pid) == ("reader", process.pid)
    maps = Path(f"/proc/{ready.pid}/maps").read_text()
    assert "_ssl" not in maps and "_sqlite3" not in maps and "_asyncio" not in maps
    write_frame(core, core_codec().encode(Ping(nonce=1)))
    assert worker_codec().decode(read_frame(core)).pss_bytes < 16 << 20
    status = Path(f"/proc/{ready.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    write_frame(core, core_codec().encode(Goodbye()))
    assert process.wait(10) == 0
    core.close()


@pytest.mark.parametrize("arguments", [[], ["shell"], ["reader", "netfilter"]])
def test_only_one_known_name_is_taken(arguments, capsys):
    assert main(arguments) == 2
    assert "Name one of" in capsys.readouterr().err


def test_by_hand_it_says_how_workers_are_started():
    done = subprocess.run(
        [sys.executable, "-m", "agent.worker_main", "netfilter"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert (
        done.stderr.startswith("holdfast worker: worker netfilter was not handed a socket")
        and "Traceback" not in done.stderr
    )


def test_the_core_is_root_or_the_named_user(monkeypatch):
    monkeypatch.setenv(worker_main.CORE_USER_VARIABLE, "daemon")
    assert core_uids() == {0, 1}
    monkeypatch.setenv(worker_main.CORE_USER_VARIABLE, "65600")
    assert core_uids() == {0, 65600}
    monkeypatch.setenv(worker_main.CORE_USER_VARIABLE, "no-such-user")
    assert core_uids() == {0}
