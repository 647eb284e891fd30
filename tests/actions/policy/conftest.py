"""A network namespace with the machine's real nft in it, and a host whose deeds happen there and whose folder is a real one."""

import subprocess
import uuid
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.action import Command, Result
from contracts.errors import Unavailable, Why
from contracts.event import Event, Value
from contracts.host import Completed
from contracts.policy import Policy, Service


class NetnsHost:
    """A host whose commands run in a network namespace; its files are those that a test planted, and its state.

    `later_s` moves its clock ahead; while it is `broken`, nft answers with an error.
    """

    dry = broken = False

    def __init__(self, name: str, state: str) -> None:
        self.name, self.state, self.later_s = name, state, 0.0
        self.asked = 0
        self.root = f"{state}/../root"
        self.commands = self.files = self.nftables = self
        self.ran: list[tuple[tuple[str, ...], bytes]] = []

    def __getattr__(self, name: str) -> None:
        """Every other part of a host is not there; a deed that used one would fail."""
        if name.startswith("_"):
            raise AttributeError(name)

    def run(self, *argv: str, stdin: bytes = b"") -> Completed:
        done = subprocess.run(
            ("nsenter", f"--net=/run/netns/{self.name}", "--", *argv), input=stdin, capture_output=True, check=False
        )
        return Completed(argv=argv, code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def sure(self, *argv: str, stdin: bytes = b"") -> str:
        done = self.run(*argv, stdin=stdin)
        assert done.code == 0, (argv, done.stderr.decode())
        return done.stdout.decode()

    def nft(self, program: str) -> None:
        self.sure("nft", "-f", "-", stdin=program.encode())

    def ruleset(self) -> str:
        return self.sure("nft", "-s", "list", "ruleset")

    def generation(self) -> int:
        return zlib.crc32(self.ruleset().encode())

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 1 << 28) -> Completed:
        self.asked += 1
        if self.broken and argv[0] == "nft":
            return Completed(argv=argv, code=1, stdout=b"", stderr=b"netlink: Error: cache initialization failed\n")
        return self.run(*argv)

    def plant(self, path: str, content: bytes) -> None:
        """Put a file of the machine in its place."""
        place = Path(self._at(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def forget(self, path: str) -> None:
        Path(self._at(path)).unlink()

    def _at(self, path: str) -> str:
        return path if self.state and path.startswith(self.state) else self.root + path

    def present(self, tool: str) -> bool:
        return any(Path(folder, tool).exists() for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"))

    def change(self, *argv: str, stdin: bytes = b"", timeout_s: float = 30.0) -> Completed:
        self.ran.append((argv, stdin))
        return self.run(*argv, stdin=stdin)

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        try:
            return Path(self._at(path)).read_bytes()
        except FileNotFoundError as error:
            raise Unavailable(Why.NOT_PRESENT, f"{path} is not there") from error

    def names(self, path: str) -> list[bytes]:
        try:
            return [each.name.encode() for each in Path(self._at(path)).iterdir()]
        except FileNotFoundError as error:
            raise Unavailable(Why.NOT_PRESENT, f"{path} is not there") from error

    def write(self, path: str, content: bytes, mode: int = 0o600) -> None:
        Path(path).write_bytes(content)

    def now(self) -> datetime:
        return datetime.fromtimestamp(datetime.now(UTC).timestamp() + self.later_s, UTC)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[NetnsHost]:
    name = f"hfpol{uuid.uuid4().hex[:8]}"
    subprocess.run(("ip", "netns", "add", name), check=True)
    (tmp_path / "state").mkdir()
    made = NetnsHost(name, str(tmp_path / "state"))
    made.sure("ip", "link", "set", "lo", "up")
    made.plant("/run/utmp", b"")
    try:
        yield made
    finally:
        subprocess.run(("ip", "netns", "del", name), check=True)


def policy(*ports: str, **more: Any) -> Policy:
    """Return a policy that lets in these TCP ports."""
    return Policy(enforce=True, services={"some": Service(ports=ports or ("22",))}, **more)


def order(
    kind: Any,
    host: NetnsHost,
    /,
    who: str = "root",
    cause: str = "",
    event: Event | None = None,
    dry: bool = False,
    **arguments: Value,
) -> Result:
    """Have an action of the class `kind` obey one command."""
    command = Command(id="1", action=kind.name, arguments=arguments, who=who, cause=cause, dry_run=dry, event=event)
    result: Result = kind(kind.options()).do(host, command, lambda *_: None)
    assert {each.kind for each in result.events} <= {each.name for each in kind.kinds}
    return result
