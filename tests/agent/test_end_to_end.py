"""The whole agent as root runs it: real processes, a real kernel, in a network namespace that the test makes."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.control import ask
from contracts.errors import HoldfastError, Unreachable

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0
RULESET = """
table inet guard {
    chain input {
        type filter hook input priority 0; policy drop;
        tcp dport 22 accept
    }
}
"""


class Agent:
    """One agent below `folder`, in a network namespace of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "agent.yaml"
        self.socket = folder / "run" / "control.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.before: tuple[str, ...] = ()
        """Words before the agent's own: what it is started by."""
        self.configure("")

    def configure(self, text: str) -> None:
        base = f"directories: {{state: {self.folder}/state, runtime: {self.folder}/run}}\n"
        self.config.write_text(base + text)

    def start(self) -> "Agent":
        argv = [sys.executable, "-P", "-m", "agent.daemon", "-c", str(self.config)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["unshare", "--net", *self.before, *argv], cwd=ROOT, stderr=log, stdout=log)
        self.until(lambda: bool(self.ask("status")), 30)
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def ask(self, verb: str, **arguments: Any) -> Any:
        try:
            return ask(self.socket, verb, arguments)
        except Unreachable:
            assert self.process is None or self.process.poll() is None, (self.folder / "log").read_text()
            return None

    def until(self, holds: Callable[[], bool], seconds: float) -> float:
        """Wait until something holds; returns how long it took. A machine that is busy with other tests is given time."""
        began, seconds = time.monotonic(), max(seconds, PATIENCE_S)
        while not holds():
            if time.monotonic() - began > seconds:
                running = self.process is not None and self.process.poll() is None
                events = (self.ask("events", limit=30) if running else None) or ()
                told = [(each["event"]["kind"], each["text"]) for each in events]
                pytest.fail(f"did not come true within {seconds} s: {told}\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)
        return time.monotonic() - began

    def kinds(self) -> list[str]:
        return [each["event"]["kind"] for each in self.ask("events", limit=1000) or ()]

    def event(self, kind: str, seconds: float) -> dict[str, Any]:
        self.until(lambda: kind in self.kinds(), seconds)
        found: dict[str, Any] = self.ask("events", kind=kind)[-1]["event"]
        return found

    def sight(self, subject: str) -> dict[str, Any]:
        sights = self.ask("coverage")["sights"]
        return next(each for each in sights if each["subject"] == subject)

    def worker(self, name: str) -> dict[str, Any]:
        return next(each for each in self.ask("status")["workers"] if each["name"] == name)

    def inside(self, *argv: str, stdin: str = "") -> None:
        subprocess.run(["nsenter", "-t", str(self.pid), "-n", *argv], input=stdin, text=True, check=True, timeout=120)

    def seen(self, subject: str, seconds: float = 30) -> None:
        self.until(lambda: self.sight(subject)["state"] in ("seen", "partial"), seconds)

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter; pytest closes its own whenever another run begins."""
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def agent(folder: Path) -> Iterator[Agent]:
    made = Agent(folder)
    try:
        yield made.start()
    finally:
        made.stop(signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Return every process below `pid`."""
    try:
        found = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile, as commands of a worker do
        return []
    return found + [each for child in found for each in children(child)]


def test_a_change_of_the_ruleset_is_a_durable_event_within_a_second(agent: Agent) -> None:
    """The best of some: on a machine that is busy with other tests one may be late, and asking at intervals none would be in time."""
    agent.seen("firewall")
    took = []
    while not took or (min(took) > 1.5 and len(took) < 12):
        agent.inside("nft", "-f", "-", stdin=RULESET)
        agent.until(lambda: len(agent.ask("subject", subject="firewall")["rows"]) > 2, 30)
        agent.inside("nft", "flush", "ruleset")
        took.append(agent.until(lambda: agent.kinds().count("firewall.ruleset_flushed") > len(took), 20))
    assert min(took) <= 1.5, took


def test_a_new_listener_is_a_durable_event_within_two_seconds(agent: Agent) -> None:
    """The best of some, as above."""
    agent.until(lambda: agent.ask("subject", subject="ports")["revision"] > 0, 60)
    time.sleep(1)  # the look that the watcher asks for when it begins is over
    # Namespaces of others count: while a neighbour holds tens of thousands of sockets, a look takes longer than this test is about.
    crowded = len(agent.ask("subject", subject="ports")["rows"]) > 2000
    took: list[float] = []
    for port in range(2222, 2234):
        code = f"import socket,time; s=socket.socket(); s.bind(('0.0.0.0', {port})); s.listen(); time.sleep(60)"
        opener = subprocess.Popen(["nsenter", "-t", str(agent.pid), "-n", sys.executable, "-c", code])
        try:
            took.append(agent.until(lambda port=port: port in opened(agent), 40))
        finally:
            opener.kill()
            opener.wait()
        if took[-1] <= 2.5:
            break
    assert crowded or min(took) <= 2.5, took  # with the start of who listens


def opened(agent: Agent) -> list[int]:
    return [each["event"]["fields"]["port"] for each in agent.ask("events", kind="ports.listener_opened", limit=500)]


def test_the_core_is_root_by_name_only_and_its_workers_are_others(agent: Agent) -> None:
    status = Path(f"/proc/{agent.pid}/status").read_text()
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    agent.until(lambda: agent.worker("netfilter")["state"] == "running", 30)
    assert agent.worker("netfilter")["uid"] not in (0, -1)
    assert agent.ask("status")["core"] == {"uid": os.getuid(), "capabilities": []}


def test_in_a_home_that_only_its_user_may_enter_root_passes_and_says_so(folder: Path) -> None:
    home = folder / "home"
    (home / "var").mkdir(parents=True)
    made = Agent(home / "var")
    os.chown(home, 65534, 65534)
    home.chmod(0o700)
    try:
        made.start()
        made.seen("firewall")
        assert made.ask("status")["core"]["capabilities"] == ["CAP_DAC_READ_SEARCH"]
        assert made.ask("reload")["digest"]
    finally:
        made.stop(signal.SIGKILL)


def test_a_broken_configuration_is_refused_and_the_former_stays_in_force(agent: Agent) -> None:
    agent.seen("firewall")
    before = agent.ask("status")["config"]["digest"]
    agent.configure("colectors: {}\n")
    assert agent.ask("status")["config"]["pending"]
    agent.process.send_signal(signal.SIGHUP)  # type: ignore[union-attr]
    refused = agent.event("agent.config_refused", 30)
    assert "agent.yaml:2:1" in refused["fields"]["detail"]
    status = agent.ask("status")["config"]
    assert (status["digest"], len(status["refused"]), status["pending"]) == (before, 1, False)
    with pytest.raises(HoldfastError, match="did you mean"):
        ask(agent.socket, "reload")
    assert agent.sight("firewall")["state"] in ("seen", "partial")


def test_a_valid_configuration_is_taken_over_without_a_restart(agent: Agent) -> None:
    agent.until(lambda: agent.worker("netfilter")["state"] == "running", 30)
    agent.configure("collectors: {firewall: {every: 77s}}\nevents: {severity: {agent.config_loaded: high}}\n")
    assert agent.ask("reload")["digest"]
    loaded = agent.event("agent.config_loaded", 30)
    assert loaded["severity"] == 4
    agent.configure("collectors: {firewall: {enabled: false}}\n")
    agent.ask("reload")
    agent.until(lambda: [spot["why"] for spot in agent.sight("firewall")["blind"]] == ["disabled"], 30)


def test_a_killed_worker_is_stated_and_comes_back(agent: Agent) -> None:
    agent.seen("firewall")
    victim = agent.worker("netfilter")["pid"]
    os.kill(victim, signal.SIGKILL)
    assert agent.event("agent.worker_died", 30)["fields"]["worker"] == "netfilter"
    agent.until(lambda: agent.worker("netfilter")["pid"] not in (0, victim), 30)
    agent.seen("firewall")


def test_while_a_worker_is_stopped_its_subject_is_not_called_seen(agent: Agent) -> None:
    agent.seen("firewall")
    victim = agent.worker("netfilter")["pid"]
    os.kill(victim, signal.SIGSTOP)
    agent.event("agent.worker_hung", 45)
    agent.until(lambda: agent.worker("netfilter")["pid"] not in (0, victim), 30)
    agent.seen("firewall", 30)


def test_a_stranger_at_the_control_socket_is_refused_and_is_an_event(agent: Agent) -> None:
    code = (
        "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); print(s.recv(4096))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(agent.socket)], capture_output=True, text=True, timeout=120)
    assert "may not command this agent" in done.stdout, done.stderr
    assert agent.event("agent.control_refused", 30)["fields"]["uid"] == 65534


def test_told_to_stop_it_says_so_last_and_leaves_nothing_running(agent: Agent) -> None:
    agent.seen("firewall")
    below = children(agent.pid)
    assert below
    assert agent.stop() == 0
    agent.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), 30)
    assert not agent.socket.exists()
    agent.start()
    assert "agent.stopped" in agent.kinds()


def test_killed_at_once_it_goes_on_where_it_was(agent: Agent) -> None:
    agent.seen("firewall")
    agent.inside("nft", "-f", "-", stdin=RULESET)
    agent.until(lambda: len(agent.ask("subject", subject="firewall")["rows"]) > 2, 30)
    before = agent.kinds()
    below = children(agent.pid)
    agent.stop(signal.SIGKILL)
    agent.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), 30)
    agent.start()
    assert agent.kinds()[: len(before)] == before


SINK = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open(sys.argv[1], "ab").write(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200); self.end_headers()
sink = http.server.HTTPServer(("127.0.0.1", 8099), Handler)
print("open", flush=True)
sink.serve_forever()
"""


def test_a_rule_tells_people_and_the_delivery_is_proved(folder: Path) -> None:
    made = Agent(folder)
    (folder / "url").write_text("json://127.0.0.1:8099/hook\n")
    (folder / "url").chmod(0o644)
    rule = "{when: firewall.ruleset_flushed, do: notify, with: {channel: admins}, dry_run: false}"
    made.configure(f"actions: {{notify: {{channels: {{admins: {{url: 'file:{folder}/url'}}}}}}}}\nrules: [{rule}]\n")
    sink: subprocess.Popen[bytes] | None = None
    try:
        made.start()
        made.seen("firewall")
        made.inside("ip", "link", "set", "lo", "up")
        sink = subprocess.Popen(
            ["nsenter", "-t", str(made.pid), "-n", sys.executable, "-c", SINK, str(folder / "got")],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert sink.stdout is not None and sink.stdout.readline() == b"open\n"
        made.inside("nft", "-f", "-", stdin=RULESET)
        made.until(lambda: len(made.ask("subject", subject="firewall")["rows"]) > 2, 30)
        made.inside("nft", "flush", "ruleset")
        done = made.event("agent.action_done", 30)
        assert done["fields"]["rule"] == "rules[0]"
        assert "flushed" in (folder / "got").read_text()
        assert made.ask("status")["proofs"][0]["proof"]["verb"] == "reached"
    finally:
        made.stop(signal.SIGKILL)
        if sink is not None:
            sink.kill()
            sink.wait()


def test_a_full_disk_holds_looks_back_and_loses_nothing(tmp_path: Path) -> None:
    made = Agent(tmp_path)
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "holdfast-test", str(state)], check=True)
    try:
        made.start()
        made.seen("firewall")
        made.until(lambda: (state / "reserve").exists(), 30)
        fill(state / "ballast")
        (state / "reserve").unlink(missing_ok=True)  # somebody else's bytes take the place of what it gives up
        fill(state / "more")
        made.inside("nft", "-f", "-", stdin=RULESET)
        made.until(lambda: bool(made.ask("status")["disk"]), 30)
        made.until(lambda: made.sight("firewall")["state"] != "seen", 30)
        (state / "ballast").unlink()
        (state / "more").unlink()
        made.event("agent.disk_full", 30)
        made.until(lambda: len(made.ask("subject", subject="firewall")["rows"]) > 2, 30)
        made.until(lambda: bool({"firewall.rule_added", "firewall.backend_changed"} & set(made.kinds())), 30)
        made.until(lambda: made.ask("status")["disk"] == "", 30)
    finally:
        made.stop(signal.SIGKILL)
        subprocess.run(["umount", "--lazy", str(state)], check=True)


def fill(path: Path) -> None:
    """Take every byte there is."""
    with path.open("wb", buffering=0) as ballast:
        for size in (1 << 16, 1 << 12, 1 << 9):
            try:
                while ballast.write(b"x" * size):
                    pass
            except OSError:
                continue


def test_a_second_agent_on_the_same_directories_is_refused_in_a_sentence(agent: Agent) -> None:
    argv = [sys.executable, "-P", "-m", "agent.daemon", "-c", str(agent.config)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 73
    assert done.stderr.count("\n") == 1
    assert "another agent runs here already" in done.stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [("heartbeat: {every: 30}\n", 78, "heartbeat.every"), ("a: [", 78, "not valid YAML"), (None, 78, "cannot be read")],
)
def test_a_start_with_a_wrong_configuration_is_a_sentence(
    tmp_path: Path, text: str | None, code: int, said: str
) -> None:
    config = tmp_path / "agent.yaml"
    if text is not None:
        config.write_text(text)
    argv = [sys.executable, "-P", "-m", "agent.daemon", "-c", str(config)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr


def test_a_control_socket_nobody_listens_on_is_an_exit_code_and_a_sentence(tmp_path: Path) -> None:
    argv = [str(Path(sys.executable).with_name("holdfast")), "status", "--socket", str(tmp_path / "none.sock")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "no agent answers" in done.stderr


def test_the_notify_protocol_is_spoken_and_the_watchdog_fed(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        made = Agent(tmp_path)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        argv = [sys.executable, "-P", "-m", "agent.daemon", "-c", str(made.config)]
        made.process = subprocess.Popen(["unshare", "--net", *argv], cwd=ROOT, env=environment)
        try:
            said = [manager.recv(4096).decode() for _ in range(2)]
            assert any("READY=1" in each for each in said)
            assert any("WATCHDOG=1" in each for each in said)
            made.process.send_signal(signal.SIGHUP)
            while "RELOADING=1" not in (heard := manager.recv(4096).decode()):
                pass
            assert "MONOTONIC_USEC=" in heard
            while "READY=1" not in manager.recv(4096).decode():
                pass
        finally:
            made.stop()


def test_an_edited_configuration_that_nobody_loads_is_an_event(agent: Agent) -> None:
    agent.configure("collectors: {ports: {every: 45s}}\n")
    agent.event("agent.config_changed", 30)
    assert agent.ask("status")["config"]["pending"]


def test_without_its_launcher_the_agent_ends_and_says_why(agent: Agent) -> None:
    assert agent.process is not None
    status = agent.ask("status")
    workers = {worker["pid"] for worker in status["workers"] if worker["pid"]}
    children = {
        int(pid)
        for pid in Path(f"/proc/{status['pid']}/task/{status['pid']}/children").read_text().split()
        if int(pid) not in workers
    }
    assert len(children) == 1
    os.kill(children.pop(), signal.SIGKILL)
    assert agent.process.wait(60) == 70
    assert "the launcher ended" in (agent.folder / "log").read_text()
    agent.start()
