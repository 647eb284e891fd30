"""The sensor in a whole agent: an attack from another namespace becomes an event, and a ban in the kernel; rules and settings are exchanged
while flows go on; what it cannot see, it says."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_end_to_end import Agent

ATTACK = (
    'drop http any any -> any any (msg:"HFL attack"; http.uri; content:"/etc/passwd"; classtype:web-application-attack; \
metadata:mitre_technique_id T1190; sid:9000001; rev:3;)\n'
)
SECOND = (
    'alert http any any -> any any (msg:"HFL second"; http.uri; content:"/second"; flow:established; sid:9000002;)\n'
)
SYN = 'alert tcp any any -> any 81 (msg:"HFL syn"; flags:S; sid:9000003;)\n'
SERVER, CLIENT = "198.51.100.1", "198.51.100.66"


KEEPING = f"""
import http.server as h
class Keeping(h.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
h.ThreadingHTTPServer(("{SERVER}", 8081), Keeping).serve_forever()
"""
CONNECTED = f"""
for _ in range(300):
    try:
        s = socket.create_connection(("{SERVER}", 8081))
        break
    except OSError:
        time.sleep(0.1)
"""
TWICE = f"""
import socket, sys, time
{CONNECTED}
s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(len(s.recv(9999)), flush=True)
sys.stdin.readline()
s.sendall(b"GET /second HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
s.recv(9999)
time.sleep(0.3)
"""
OPEN = f"""
import socket, sys, time
{CONNECTED}
s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(len(s.recv(9999)), flush=True)
time.sleep(60)
"""
FLOOD = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_UDP, 103, 1400)
for _ in range(3000):
    s.sendto(b"x" * 56000, ("{SERVER}", 9))
"""
"""168 MB within half a second: the kernel makes packets of them as late as it can (UDP_SEGMENT)."""


class Space:
    """A network namespace that lives as long as a sleeping process in it."""

    def __init__(self) -> None:
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)

    def argv(self, *words: str) -> list[str]:
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", *words]

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(self.argv(*words), capture_output=True, text=True, check=check, timeout=30)
        return done.stdout

    def end(self) -> None:
        self.holder.kill()
        self.holder.wait()


class Site:
    """A victim with a real web server and the agent, and an attacker, joined by a cable."""

    def __init__(self, folder: Path) -> None:
        self.victim, self.attacker = Space(), Space()
        self.agent = Agent(folder)
        self.rules = folder / "rules"
        self.rules.mkdir()
        (self.rules / "local.rules").write_text(ATTACK)
        self.victim.run("ip", "link", "add", "hflv", "type", "veth", "peer", "name", "hfla")
        self.victim.run("ip", "link", "set", "hfla", "netns", str(self.attacker.holder.pid))
        for space, name, address in ((self.victim, "hflv", SERVER), (self.attacker, "hfla", CLIENT)):
            space.run("ip", "addr", "add", f"{address}/24", "dev", name)
            space.run("ip", "link", "set", name, "up")
            space.run("ip", "link", "set", "lo", "up")
        root = folder / "www"
        root.mkdir()
        server = [sys.executable, "-m", "http.server", "80", "--bind", SERVER, "--directory", str(root)]
        self.server = subprocess.Popen(self.victim.argv(*server), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def settings(self, **more: str) -> str:
        given = {"enabled": "true", "interfaces": "[hflv]", "rules": f"[{self.rules}]", "rules_every": "1s"}
        given |= {"every": "1s", **more}
        given.setdefault("addresses", f"{{HOME_NET: {SERVER}}}")
        section = ", ".join(f"{name}: {value}" for name, value in given.items())
        return (
            "outputs: {journald: {enabled: false}}\nactions: {block: {watch: 200ms, shadow: 0s}}\n"
            f"collectors: {{traffic: {{{section}}}}}\n"
        )

    def start(self, **more: str) -> Agent:
        self.agent.configure(self.settings(**more))
        self.agent.start()
        self.ready()
        return self.agent

    def ready(self) -> None:
        self.agent.until(lambda: "traffic.rules_loaded" in self.agent.kinds(), 60)

    def curl(self, path: str, seconds: int = 3) -> int:
        argv = self.attacker.argv("curl", "-s", "-o", "/dev/null", "-m", str(seconds), f"http://{SERVER}{path}")
        return subprocess.run(argv, check=False).returncode

    def end(self) -> None:
        self.server.kill()
        self.server.wait()
        if self.agent.process is not None:
            self.agent.stop(signal.SIGKILL)
        for space in (self.victim, self.attacker):
            space.end()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    real = subprocess.Popen
    with tempfile.TemporaryDirectory(prefix="holdfast-") as name:
        Path(name).chmod(0o755)
        made = Site(Path(name))

        def inside(argv: list[str], *rest: Any, **words: Any) -> Any:
            if argv[:2] == ["unshare", "--net"]:
                argv = made.victim.argv(*argv[2:])
            return real(argv, *rest, **words)

        monkeypatch.setattr(subprocess, "Popen", inside)
        try:
            yield made
        finally:
            made.end()


def test_an_attack_is_an_event_and_a_ban_in_the_kernel_within_seconds(site: Site) -> None:
    agent = site.start(block="true")
    assert site.curl("/") == 0, "the web server answers"
    began = time.monotonic()
    site.curl("/?file=/etc/passwd")
    event = agent.event("traffic.alert", 30)
    fields = event["fields"]
    assert (fields["sid"], fields["rev"], fields["signature"]) == (9000001, 3, "HFL attack")
    assert (fields["source"], fields["destination"], fields["destination_port"]) == (CLIENT, SERVER, 80)
    assert (fields["offender"], fields["proven"], fields["blocking"]) == (CLIENT, True, True)
    assert fields["techniques"] == ["T1190"] and event["severity"] == 4 and fields["interface"] == "hflv"
    assert '"url":"/?file=/etc/passwd"' in event["evidence"]["eve"]
    agent.until(lambda: CLIENT in site.victim.run("nft", "list", "ruleset"), 30)
    assert time.monotonic() - began < 60
    assert site.curl("/", 1) != 0, "banned"
    blocked = agent.event("block.address_blocked", 30)
    assert blocked["fields"]["reason"].startswith("rule 9000001")


def holdfast(site: Site, *words: str, codes: tuple[int, ...] = (0,)) -> bytes:
    argv = [str(Path(sys.executable).with_name("holdfast")), *words, "--socket", str(site.agent.socket)]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=60, cwd=Path(__file__).parents[2])
    assert done.returncode in codes, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def test_status_and_evidence_are_told_and_the_packets_are_kept(site: Site) -> None:
    agent = site.start(evidence=f"{{key: 'file:{site.rules}/key'}}")
    agent.event("traffic.evidence_not_kept", 30)
    agent.until(lambda: "packets of alerts" in str(agent.sight("traffic")["blind"]), 30)
    (site.rules / "key").write_text("a long secret\n")
    agent.until(lambda: "packets of alerts" not in str(agent.sight("traffic")["blind"]), 30)
    site.curl("/?file=/etc/passwd")
    capture = agent.event("traffic.alert", 30)["fields"]["capture"]
    agent.until(lambda: capture in holdfast(site, "traffic", "evidence", "list").decode(), 30)
    assert holdfast(site, "traffic", "evidence", "export", capture, codes=(78,)) == b"", "sealed"
    key = ("--key", f"file:{site.rules}/key")
    pcap = holdfast(site, "traffic", "evidence", "export", capture, *key)
    assert b"GET /?file=/etc/passwd HTTP/1.1" in pcap
    shown = holdfast(site, "traffic", "evidence", "show", capture, *key).decode()
    assert f"{CLIENT}" in shown and "TCP" in shown and len(shown.splitlines()) >= 3, "the handshake, too"
    agent.until(lambda: CLIENT in holdfast(site, "traffic", "status").decode(), 30)
    status = holdfast(site, "traffic", "status").decode()
    assert "Sensor: watching" in status and "1 in use, 0 refused" in status and "hflv" in status
    assert '"packets_per_s"' in holdfast(site, "traffic", "status", "--json").decode()


def test_rules_and_settings_are_exchanged_and_no_flow_is_lost(site: Site) -> None:
    agent = site.start()
    sensor = agent.worker("sensor")
    # Python's own server ends HTTP/1.0 connections at once, so one that keeps them stands beside it.
    server = subprocess.Popen(site.victim.argv(sys.executable, "-c", KEEPING), stderr=subprocess.DEVNULL)
    try:
        client = subprocess.Popen(
            site.attacker.argv(sys.executable, "-c", TWICE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert client.stdout is not None and client.stdin is not None
        assert int(client.stdout.readline()) > 0, "the session is under way before the new rules come"
        (site.rules / "more.rules").write_text(SECOND)
        agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 2, 30)
        agent.configure(site.settings(repeat_after="5s", per_rule="99"))
        agent.ask("reload")
        client.stdin.write("\n")
        client.stdin.flush()
        client.wait(60)
    finally:
        server.kill()
        server.wait()
    event = agent.event("traffic.alert", 30)
    assert event["fields"]["sid"] == 9000002 and event["fields"]["proven"], "the flow goes on, its handshake is known"
    now = agent.worker("sensor")
    assert (now["pid"], now["restarts"]) == (sensor["pid"], 0), "the worker was not started again"
    assert event["fields"]["packets_to_server"] >= 4
    (site.rules / "more.rules").write_text("alert broken\n" + SECOND)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 3, 30)
    agent.until(lambda: "what 1 rule describes" in str(agent.sight("traffic")["blind"]), 30)


def test_the_worker_is_brought_back_and_the_gap_is_told(site: Site) -> None:
    agent = site.start()
    os.kill(agent.worker("sensor")["pid"], signal.SIGKILL)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 2, 30)
    agent.until(lambda: {"agent.worker_died", "agent.watch_gap"} <= set(agent.kinds()), 30)
    site.curl("/?file=/etc/passwd")
    assert agent.event("traffic.alert", 30)["fields"]["sid"] == 9000001


def test_a_ring_that_is_too_small_and_an_interface_that_goes_are_told(site: Site) -> None:
    agent = site.start(ring="2MiB", interfaces="[hflv, hflnone]")
    assert agent.event("traffic.interface_gone", 30)["fields"]["interface"] == "hflnone"
    site.attacker.run(sys.executable, "-c", FLOOD)
    dropped = agent.event("traffic.packets_dropped", 30)["fields"]
    assert dropped["interface"] == "hflv" and dropped["packets"] > 50 and 0 < dropped["share"] <= 100
    agent.until(lambda: "all packets of hflv" in str(agent.sight("traffic")["blind"]), 30)
    agent.until(lambda: "the traffic of hflnone" in str(agent.sight("traffic")["blind"]), 30)
    site.curl("/?file=/etc/passwd")
    assert agent.event("traffic.alert", 30)["fields"]["sid"] == 9000001, "it watches on"


def test_the_worker_has_one_capability_opens_nothing_and_speaks_to_nobody(site: Site) -> None:
    agent = site.start()
    pid = agent.worker("sensor")["pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 1 << 13
    assert int(status["CapAmb"], 16) == 0 and status["NoNewPrivs"] == "1"
    assert int(status["Seccomp"]) == 2 and int(status["Seccomp_filters"]) >= 2
    assert all(uid != "0" for uid in status["Uid"].split())
    names = [os.readlink(one) for one in Path(f"/proc/{pid}/fd").iterdir()]
    files = [name for name in names if name.startswith("/") and not name.startswith(("/dev/null", "/proc/"))]
    assert set(files) == {str(agent.folder / "log")}, f"its standard error, and nothing else: {files}"


def test_made_rules_are_taken_from_what_was_kept_unless_it_was_changed(site: Site) -> None:
    agent = site.start()
    kept = agent.folder / "state" / "kept" / "traffic" / "cache" / "rules.packed"
    agent.until(kept.is_file, 30)
    os.kill(agent.worker("sensor")["pid"], signal.SIGKILL)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 2, 30)
    assert agent.event("traffic.rules_loaded", 30)["fields"]["cached"] is True
    site.curl("/?file=/etc/passwd")
    assert agent.event("traffic.alert", 30)["fields"]["sid"] == 9000001
    damaged = bytearray(kept.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    kept.write_bytes(damaged)
    os.kill(agent.worker("sensor")["pid"], signal.SIGKILL)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 3, 30)
    assert agent.event("traffic.rules_loaded", 30)["fields"]["cached"] is False, "made anew"


def test_a_scan_that_is_proven_is_banned_and_a_banned_source_does_not_fire_again(site: Site) -> None:
    agent = site.start(block="true", detectors="{home: [198.51.100.1/32]}", repeat_after="1s")
    (site.rules / "syn.rules").write_text(SYN)
    agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 2, 30)
    site.curl(":81/", 1)
    agent.event("traffic.alert", 30)
    site.attacker.run("nmap", "-n", "-Pn", "-sT", "-p", "1-400", "--max-retries", "0", SERVER, check=False)
    found = agent.event("traffic.ports_scanned", 30)["fields"]
    assert (found["source"], found["subject"]) == (CLIENT, SERVER)
    site.curl("/?file=/etc/passwd", 1)
    agent.until(lambda: CLIENT in site.victim.run("nft", "list", "ruleset"), 30)
    agent.until(lambda: CLIENT in agent.ask("subject", subject="bans")["rows"], 30)
    # The packet socket sees what the firewall drops: the same packets are there, and nothing is said of them as soon as it knows.
    agent.until(lambda: site.curl(":81/", 1) != 0 and counted(site), 30)
    before = alerts(agent)  # with what was held back before
    assert before, "its packets led to alerts before"
    for _ in range(2):
        site.curl(":81/", 1)
    assert alerts(agent) == before


def alerts(agent: Agent) -> int:
    """Return how many alerts there are, once no more have come for some seconds."""
    count, since = -1, time.monotonic()

    def is_quiet() -> bool:
        nonlocal count, since
        now = agent.kinds().count("traffic.alert")
        if now != count:
            count, since = now, time.monotonic()
        return time.monotonic() - since > 3.0

    agent.until(is_quiet, 60)
    return count


def records(site: Site) -> str:
    """Return the records of flows that are kept."""
    folder = site.agent.folder / "state" / "kept" / "traffic" / "flows"
    return "".join(one.read_text() for one in sorted(folder.glob("*.ndjson"))) if folder.is_dir() else ""


def test_what_the_sensor_holds_is_handed_over_before_it_ends(site: Site) -> None:
    agent = site.start(flow_records="4MiB")
    with (
        subprocess.Popen(site.victim.argv(sys.executable, "-c", KEEPING), stderr=subprocess.DEVNULL) as server,
        subprocess.Popen(site.attacker.argv(sys.executable, "-c", OPEN), stdout=subprocess.PIPE) as client,
    ):
        try:
            assert client.stdout is not None and client.stdout.readline()
            site.curl("/?file=/etc/passwd")
            agent.event("traffic.alert", 30)
            site.curl("/?file=/etc/passwd")
            site.curl("/?file=/etc/passwd")
            agent.until(lambda: '"held_back": 2' in holdfast(site, "traffic", "status", "--json").decode(), 30)
            assert "8081" not in records(site), "the session is open"
            os.kill(agent.worker("sensor")["pid"], signal.SIGTERM)
            agent.until(lambda: '"reason":"shutdown"' in records(site), 30)
            ended = [json.loads(line) for line in records(site).splitlines()]
            # Tries before that server listened are flows, too.
            (session,) = [one for one in ended if one.get("dest_port") == 8081 and one["flow"]["bytes_toclient"] > 300]
            assert (session["src_ip"], session["flow"]["reason"]) == (CLIENT, "shutdown")
            agent.until(lambda: repeats(agent) == [0, 1], 30)  # what was only counted is told, too
            agent.until(lambda: agent.kinds().count("traffic.rules_loaded") == 2, 30)
            before = records(site)
            site.curl("/")
            agent.until(lambda: '"flows_begun": 0' not in holdfast(site, "traffic", "status", "--json").decode(), 30)
            began = time.monotonic()
            assert agent.stop() == 0 and time.monotonic() - began < 30
            assert '"dest_port":80,' in records(site).removeprefix(before), "and so it is when the whole agent stops"
        finally:
            for one in (client, server):
                one.kill()


def repeats(agent: Agent) -> list[int]:
    """Return of each alert how often it was only counted."""
    return [each["event"].get("repeats", 0) for each in agent.ask("events", kind="traffic.alert")]


def counted(site: Site) -> bool:
    """Return whether packets of somebody who is banned were counted instead of stated."""
    return '"banned": 0' not in holdfast(site, "traffic", "status", "--json").decode()
