"""Run a console and an agent of this checkout on loopback: what `make run` starts, and what benchmarks measure.

Everything is kept below one folder (`./var`). The agent is enrolled by a real one-time token. Ctrl-C stops both.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOLDFAST = Path(sys.executable).with_name("holdfast")


class CannotRun(Exception):
    """Something a person must put right first; the message says what."""


class Installation:
    """One console and one agent below `state`, as child processes."""

    def __init__(
        self, state: Path, people: str, agents: str, agent_settings: str = "", console_settings: str = ""
    ) -> None:
        self.state, self.people, self.agents = state, people, agents
        self.console: subprocess.Popen[bytes] | None = None
        self.agent: subprocess.Popen[bytes] | None = None
        self.login_link = ""
        self._settings = (agent_settings, console_settings)

    def prepare(self) -> None:
        """Make the folders and the configuration; files that are there stay as they are."""
        for port in (self.people, self.agents):
            _must_be_free(port)
        for name in ("etc", "etc/agent.d", "agent", "run", "console", "log"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        for name in ("agent", "run", "console"):
            (self.state / name).chmod(0o755 if name == "run" else 0o700)
        self._write_once(
            "agent.yaml",
            f"# The agent that `make run` starts; every setting is in etc/agent.yaml of the checkout.\n"
            f"directories:\n  state: {json.dumps(str(self.state / 'agent'))}\n  runtime: {json.dumps(str(self.state / 'run'))}\n"
            f"outputs:\n  ndjson:\n    enabled: true\n    path: {json.dumps(str(self.state / 'log' / 'events.ndjson'))}\n"
            f"# Nothing of this machine is changed by trying Holdfast: signatures are not updated, files not scanned at night.\n"
            "antivirus:\n  update: {enabled: false}\n  scan: {enabled: false}\n  proof: {enabled: false}\n"
            + self._settings[0],
        )
        self._write_once(
            "console.yaml",
            "# The console that `make run` starts; every setting is in etc/console.yaml of the checkout.\n"
            + self._settings[1],
        )

    def start_console(self) -> None:
        """Start the console and wait until both of its listeners answer."""
        self.console = self._spawn(
            "console", "console", "serve", *self._console_options(), "--people", self.people, "--agents", self.agents
        )
        for port in (self.people, self.agents):
            self._wait_for_port(port)

    def enrol(self) -> None:
        """Enrol the agent by a one-time token, unless it is enrolled already."""
        if (self.state / "agent" / "identity" / "current").exists():
            return
        token = self.ask("console", "token", "create", *self._console_options(), "--json")["token"]
        self._holdfast("enroll", f"https://{self.agents}", "--token", token, "-c", str(self.config("agent")))

    def start_agent(self) -> None:
        """Start the agent."""
        self.agent = self._spawn("agent", "run", "-c", str(self.config("agent")))

    def config(self, name: str) -> Path:
        """Return the path of a configuration file."""
        return self.state / "etc" / f"{name}.yaml"

    def ask(self, *argv: str) -> Any:
        """Run a command that answers in JSON."""
        return json.loads(self._holdfast(*argv))

    def link(self) -> str:
        """Return a fresh one-time login link."""
        answer = self.ask("console", "user", "link", *self._console_options(), "--people", self.people, "--json")
        return str(answer["link"])

    def stop(self) -> None:
        """Stop the agent first, then the console, both in an orderly way."""
        for child in (self.agent, self.console):
            if child is not None and child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in (self.agent, self.console):
            if child is None:
                continue
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)

    def _console_options(self) -> tuple[str, ...]:
        return ("-c", str(self.config("console")), "--state-dir", str(self.state / "console"))

    def _write_once(self, name: str, text: str) -> None:
        path = self.state / "etc" / name
        if not path.exists():
            path.write_text(text)
            path.chmod(0o600)

    def _spawn(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        # A session of its own, so that Ctrl-C reaches this process alone and the order of stopping is ours.
        with (self.state / "log" / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(HOLDFAST), *argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )

    def _holdfast(self, *argv: str) -> str:
        done = subprocess.run([str(HOLDFAST), *argv], capture_output=True, text=True, check=False, timeout=60)
        if done.returncode != 0:
            raise CannotRun(f"holdfast {' '.join(argv[:3])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _wait_for_port(self, address: str) -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.console is not None and self.console.poll() is not None:
                raise CannotRun(f"the console ended at once: {_last_line(self.state / 'log' / 'console.log')}")
            try:
                with socket.create_connection(_split(address), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise CannotRun(f"the console does not answer on {address}; see {self.state / 'log' / 'console.log'}")


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise CannotRun(f'"{address}" is not an address with a port; write for example 127.0.0.1:8443')
    return host.strip("[]"), int(port)


def _must_be_free(address: str) -> None:
    host, port = _split(address)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotRun(
                f"{address} cannot be used: {error.strerror}; is another console running? Choose others with: "
                "make run RUN_ARGS='--people 127.0.0.1:9443 --agents 127.0.0.1:9444'"
            ) from error


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--state", type=Path, default=ROOT / "var", help="folder for all state (default: ./var)")
    parser.add_argument("--people", default="127.0.0.1:8443", help="where people reach the console")
    parser.add_argument("--agents", default="127.0.0.1:8444", help="where agents reach the console")
    parser.add_argument("--json", action="store_true", help="print one line of JSON when everything runs")
    return parser.parse_args()


def _announce(installation: Installation, as_json: bool) -> None:
    if as_json:
        pids = {
            "console": installation.console.pid if installation.console else 0,
            "agent": installation.agent.pid if installation.agent else 0,
        }
        print(
            json.dumps(
                {"people": installation.people, "agents": installation.agents, "link": installation.link(), **pids}
            ),
            flush=True,
        )
        return
    seen = (
        "everything is seen" if os.geteuid() == 0 else "without root not everything is seen; the page says what and why"
    )
    print(
        f"""
  Holdfast runs on this machine ({seen}).

  console        https://{installation.people}/
  log in once    {installation.link()}
                 (the certificate is the console's own, so the browser asks; another link: .venv/bin/holdfast console user link --help)

  look           .venv/bin/holdfast status -c {installation.config("agent")}
  state, logs    {installation.state}
  stop           Ctrl-C
""",
        flush=True,
    )


def _stop_on_signal(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run until Ctrl-C or until one of the two ends by itself."""
    arguments = _arguments()
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
    ):  # a shell without job control starts what runs in the background with SIGINT ignored
        signal.signal(number, _stop_on_signal)
    installation = Installation(arguments.state.resolve(), arguments.people, arguments.agents)
    with ExitStack() as stack:
        stack.callback(installation.stop)
        try:
            installation.prepare()
            installation.start_console()
            installation.enrol()
            installation.start_agent()
            _announce(installation, arguments.json)
            while True:
                for name, child in (("console", installation.console), ("agent", installation.agent)):
                    if child is not None and child.poll() is not None:
                        line = _last_line(installation.state / "log" / f"{name}.log")
                        raise CannotRun(f"the {name} ended with code {child.returncode}: {line}")
                time.sleep(0.2)
        except CannotRun as error:
            print(f"make run: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("\nstopping the agent and the console", file=sys.stderr)
            return 0


if __name__ == "__main__":
    sys.exit(main())
