"""What `make install` puts in place works under a real systemd."""

import json
import re
import time

import pytest

from tests.system.conftest import enroll, status

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

SERVICES = ("holdfast-agent", "holdfast-netfilter", "holdfast-reader", "holdfast-console")
SOCKETS = tuple(
    f"holdfast-{name}.socket" for name in ("netfilter", "reader", "messenger", "sensor", "backup", "steward")
)
SECURITY_LIMIT = {"holdfast-reader": 2.5, "holdfast-backup": 2.5, "holdfast-steward": 2.5}
USERS = {
    "holdfast-agent": ("holdfast", set()),
    "holdfast-netfilter": ("holdfast-netfilter", {"cap_net_admin", "cap_net_raw", "cap_dac_read_search"}),
    # CAP_SYS_PTRACE is held by the reader's eyes alone, a child process of its own.
    "holdfast-reader": ("holdfast-reader", {"cap_dac_read_search"}),
    "holdfast-console": ("holdfast-console", set()),
}


@pytest.fixture(scope="module")
def system(container):
    """The container with console and agent started and the agent enrolled by a real token."""
    enroll(container)
    return container


def _worker(container, name: str) -> dict:
    return next((worker for worker in status(container)["workers"] if worker["name"] == name), {})


def test_every_unit_is_active(system) -> None:
    for unit in (*SERVICES, *SOCKETS):
        assert system.property(unit, "ActiveState") == "active", unit
    assert system.run("systemctl", "--failed", "--no-legend").stdout.strip() == ""


def test_the_on_demand_worker_is_not_running(system) -> None:
    assert system.property("holdfast-messenger.service", "ActiveState") == "inactive"


def test_workers_came_by_socket_activation(system) -> None:
    for worker in ("netfilter", "reader"):
        pid = system.main_pid(f"holdfast-{worker}")
        environment = system.run("cat", f"/proc/{pid}/environ").stdout
        assert "LISTEN_FDS=1" in environment


@pytest.mark.parametrize("unit", SERVICES)
def test_runs_as_its_own_user_with_only_its_capabilities(system, unit: str) -> None:
    user, capabilities = USERS[unit]
    status = system.run("cat", f"/proc/{system.main_pid(unit)}/status").stdout
    uid = system.run("id", "-u", user).stdout.strip()
    assert re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)", status, re.M).groups() == (uid,) * 4
    for line in ("CapPrm", "CapEff"):
        mask = re.search(rf"^{line}:\s+(\w+)", status, re.M)[1]
        decoded = system.run("capsh", f"--decode={mask}").stdout.strip().partition("=")[2]
        assert set(filter(None, decoded.split(","))) == capabilities, line
    assert re.search(r"^NoNewPrivs:\s+1", status, re.M)


def test_nothing_of_ours_runs_as_root(system) -> None:
    lines = system.run("ps", "-eo", "uid,pid,args").stdout.splitlines()
    ours = [line for line in lines if "/opt/holdfast" in line and "ps -eo" not in line]
    assert len(ours) >= 4
    assert [line for line in ours if line.split()[0] == "0"] == []


@pytest.mark.parametrize(
    "unit", [*SERVICES, "holdfast-messenger", "holdfast-sensor", "holdfast-backup", "holdfast-steward"]
)
def test_units_are_sandboxed(system, unit: str) -> None:
    answer = system.run("systemd-analyze", "security", "--no-pager", f"{unit}.service", check=False).stdout
    score = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", answer)[1])
    assert score <= SECURITY_LIMIT.get(unit, 2.0)


LOOKING = """
import json, threading
from agent import seccomp
from host.packet_programs import LinuxProgramTable
seccomp.harden()
found = []
thread = threading.Thread(target=lambda: found.append(LinuxProgramTable().on_packets()))
thread.start()
thread.join()
print(json.dumps({"blind": [f"{spot.what}: {spot.detail}" for spot in found[0].blind]}))
"""
OF_THE_UNIT = ("Exec", "Type", "Restart", "Notify", "Watchdog", "Timeout", "StateDirectory")
"""Settings of a service that systemd-run has its own of; all others of the unit's are taken."""


def test_the_firewalls_worker_opens_its_network_namespace_inside_its_sandbox(system) -> None:
    """/proc/thread-self/ns/net, from a thread as in the worker, to ask which programs choose the socket for a packet."""
    unit = system.run("systemctl", "cat", "holdfast-netfilter.service").stdout
    settings = [line for line in unit.partition("[Service]")[2].splitlines() if re.match(r"[A-Z]\w+=", line)]
    settings = [line for line in settings if not line.startswith(OF_THE_UNIT)]
    assert {"ProtectProc=default", "User=holdfast-netfilter"} <= set(settings)
    done = system.run(
        "systemd-run", "--pipe", "--wait", "--quiet", *(word for line in settings for word in ("--property", line)),
        "/opt/holdfast/current/bin/python", "-IB", "-c", LOOKING,
    )  # fmt: skip
    assert json.loads(done.stdout) == {"blind": []}
    system.run("holdfast", "firewall", "exposure", "--look", check=False)
    spots = json.loads(system.run("holdfast", "coverage", "--json", check=False).stdout)
    assert "sk_lookup" not in json.dumps(spots)


def test_state_is_nobody_elses(system) -> None:
    assert system.run("stat", "-c", "%a %U", "/var/lib/holdfast/agent").stdout.strip() == "700 holdfast"
    assert system.run("stat", "-c", "%a %U", "/var/lib/holdfast/console").stdout.strip() == "700 holdfast-console"


def test_a_reload_with_a_broken_file_keeps_the_old_configuration_and_says_why(system) -> None:
    before = system.main_pid("holdfast-agent")
    path = "/etc/holdfast/agent.d/broken.yaml"
    system.run("tee", path, text="collectors:\n  ports:\n    every: abc\n")
    try:
        done = system.run("systemctl", "reload", "holdfast-agent", check=False)
        assert done.returncode != 0
        journal = system.run("journalctl", "-u", "holdfast-agent", "-n", "30", "--no-pager").stdout
        assert "broken.yaml:3:12" in journal
        assert "is not a duration" in journal
        assert system.main_pid("holdfast-agent") == before
        assert system.property("holdfast-agent", "ActiveState") == "active"
        system.run("kill", "-HUP", str(before))
        system.wait_for(
            lambda: "agent.config_refused" in system.run("holdfast", "events", "--json", "--limit", "50").stdout,
            "the refusal is an event",
        )
    finally:
        system.run("rm", path)
    system.run("systemctl", "reload", "holdfast-agent")
    assert system.main_pid("holdfast-agent") == before


def test_the_watchdog_restarts_a_core_that_is_stopped(system) -> None:
    before = system.main_pid("holdfast-agent")
    system.run("kill", "-STOP", str(before))
    system.wait_for(lambda: system.main_pid("holdfast-agent") not in {0, before}, "systemd restarts the core")
    system.wait_for(lambda: status(system)["console"]["connected"], "the new core reports")


def test_a_worker_killed_fifty_times_comes_back(system) -> None:
    """Fifty ends at the rate at which a worker starts, the hardest on systemd's limits; the waits themselves are another test's."""
    with system.impatient_core():
        _kill_the_reader(system, 50)
        system.wait_for(lambda: _worker(system, "reader").get("state") == "running", "the reader is back")
        assert _worker(system, "reader")["restarts"] >= 50
    assert system.property("holdfast-reader.socket", "ActiveState") == "active"
    assert system.property("holdfast-reader.service", "Result") in {"success", "signal"}
    system.wait_for(lambda: _worker(system, "reader").get("state") == "running", "the patient core has it, too")


def _kill_the_reader(system, times: int) -> None:
    """Kill it as soon as there is one, `times` times; no process is counted twice."""
    end, killed = time.monotonic() + 600, set()
    while len(killed) < times:
        assert time.monotonic() < end, f"only {len(killed)} kills\n{system.journal()}"
        pid = system.main_pid("holdfast-reader")
        if pid and pid not in killed and system.run("kill", "-KILL", str(pid), check=False).returncode == 0:
            killed.add(pid)
        time.sleep(0.05)


def _starts(system, since: str) -> int:
    words = ("-u", "holdfast-netfilter.service", "--since", since, "--no-pager")
    return system.run("journalctl", *words).stdout.count("Main process exited")


def test_a_worker_that_cannot_start_is_neither_given_up_nor_started_without_pause(system) -> None:
    folder = "/run/systemd/system/holdfast-netfilter.service.d"
    system.run("mkdir", "-p", folder)
    system.run("tee", f"{folder}/broken.conf", text="[Service]\nExecStart=\nExecStart=/bin/false\n")
    try:
        system.run("systemctl", "daemon-reload")
        system.run("systemctl", "stop", "holdfast-netfilter.service")
        begun, since = time.monotonic(), f"@{int(time.time()) + 1}"
        system.wait_for(lambda: _starts(system, since) >= 1, "it is started at all")
        time.sleep(9)
        starts, seconds = _starts(system, since), time.monotonic() - begun
        assert 1 <= starts <= 3 + seconds, f"{starts} starts in {seconds:.0f} seconds"
        assert system.property("holdfast-netfilter.socket", "ActiveState") == "active"
    finally:
        system.run("rm", "-r", folder)
        system.run("systemctl", "daemon-reload")
    system.wait_for(lambda: _worker(system, "netfilter").get("state") == "running", "the worker is back")


ATTACK = """
import json, os, socket, sys
core, console = sys.argv[1:]
done = {}
def attempt(name, deed):
    try:
        deed()
        done[name] = "succeeded"
    except OSError as error:
        done[name] = error.strerror
def connect(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
        sock.sendall(b"\\0\\0\\0\\1x")
        if path.endswith("control.sock"):
            answer = sock.recv(4096)
            if b"root" in answer and b"group" in answer:
                raise PermissionError(1, "told no")
attempt("key", lambda: open("/var/lib/holdfast/agent/identity/current/key.pem").read())
attempt("spool", lambda: open("/var/lib/holdfast/agent/spool.db", "rb").read())
attempt("authority", lambda: os.listdir("/var/lib/holdfast/console/ca"))
attempt("memory of the core", lambda: open(f"/proc/{core}/mem", "rb").read(1))
attempt("memory of the console", lambda: open(f"/proc/{console}/mem", "rb").read(1))
attempt("root of the core", lambda: os.listdir(f"/proc/{core}/root/var/lib/holdfast/agent"))
attempt("descriptor of the core", lambda: os.readlink(f"/proc/{core}/fd/0"))
for worker in ("netfilter", "reader", "messenger"):
    attempt(f"socket of {worker}", lambda: connect(f"/run/holdfast/workers/{worker}.sock"))
attempt("control socket", lambda: connect("/run/holdfast/control.sock"))
attempt("signal to the core", lambda: os.kill(int(core), 0))
print(json.dumps(done))
"""


@pytest.mark.parametrize("worker", ["netfilter", "reader"])
def test_from_a_worker_that_is_taken_over_nothing_of_the_others_can_be_reached(system, worker: str) -> None:
    """The attacker has the worker's user, capabilities and view of the files, and not even its filter of system calls in his way."""
    user = f"holdfast-{worker}"
    caps = ",".join(f"+{name.removeprefix('cap_')}" for name in sorted(USERS[user][1]))
    done = system.run(
        "nsenter", "-t", str(system.main_pid(user)), "-m",
        "setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs",
        "--inh-caps", f"-all,{caps}", "--ambient-caps", f"-all,{caps}", "--bounding-set", f"-all,{caps}",
        "/usr/bin/python3", "-c", ATTACK, str(system.main_pid("holdfast-agent")), str(system.main_pid("holdfast-console")),
    )  # fmt: skip
    answers = json.loads(done.stdout)
    assert len(answers) == 12
    assert {name for name, answer in answers.items() if answer == "succeeded"} == set(), answers
    system.wait_for(
        lambda: "agent.control_refused" in system.run("holdfast", "events", "--json", "--limit", "100").stdout,
        "the attempt on the core is an event",
    )


@pytest.mark.parametrize(
    "place", ["/home/someone", "/root", "/tmp", "/var/tmp", "/usr/lib/modules", "/boot", "/srv", "/opt", "/etc"]
)
def test_a_reader_sees_a_file_in_every_place(system, place: str) -> None:
    """A listener whose executable lies there is reported with its path; what is in a 0700 folder can be read by the reader."""
    pid = system.main_pid("holdfast-reader")
    secret = f"{place}/holdfast-planted/secret"
    system.run("mkdir", "-p", "-m", "0700", f"{place}/holdfast-planted")
    system.run("tee", secret, text="planted")
    system.run("chmod", "0600", secret)
    try:
        seen = system.run(
            "nsenter", "-t", str(pid), "-m",
            "setpriv", "--reuid", "holdfast-reader", "--regid", "holdfast-reader", "--clear-groups",
            "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search", "--bounding-set", "-all,+dac_read_search",
            "cat", secret,
        )  # fmt: skip
        assert seen.stdout == "planted"
    finally:
        system.run("rm", "-r", f"{place}/holdfast-planted")
