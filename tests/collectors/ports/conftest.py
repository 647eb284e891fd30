"""The namespaces of `tests/host/conftest.py`, and a host that is a folder."""

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
import pytest

from contracts.host import Process, Processes, Socket, Sockets
from host.fake import FakeHost

_SPEC = importlib.util.spec_from_file_location("netns_fixtures", Path(__file__).parents[2] / "host" / "conftest.py")
assert _SPEC is not None and _SPEC.loader is not None
_NETNS = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_NETNS)
make_netns, netns = _NETNS.make_netns, _NETNS.netns

FIXTURE = Path(__file__).parents[2] / "fixtures" / "ports" / "small-server"


class Server(FakeHost):
    """A small server whose sockets and processes a test changes."""

    def set(self, **fields: Any) -> None:
        assert isinstance(self.sockets.found, Sockets)
        self.sockets.found = msgspec.structs.replace(self.sockets.found, **fields)

    def open(self, **fields: Any) -> None:
        assert isinstance(self.sockets.found, Sockets)
        plain: dict[str, Any] = {"protocol": "tcp", "family": 4, "address": "0.0.0.0", "netns": 1}
        self.set(sockets=(*self.sockets.found.sockets, Socket(**{**plain, **fields})))

    def close(self, port: int) -> None:
        assert isinstance(self.sockets.found, Sockets)
        self.set(sockets=tuple(one for one in self.sockets.found.sockets if one.port != port))

    def run(self, pid: int, **fields: Any) -> None:
        former = self.processes.found.by_pid.get(pid, Process(pid=pid, name="new", user="root"))
        by_pid = {**self.processes.found.by_pid, pid: msgspec.structs.replace(former, **fields)}
        self.processes.found = Processes(by_pid=by_pid)


@pytest.fixture
def server() -> Server:
    return Server(FIXTURE)
