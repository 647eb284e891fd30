"""Envelopes and a rendering to write them with."""

from collections.abc import Callable

import pytest

from agent.outputs.rendering import Rendering
from contracts.event import Envelope, Kind, Lane, Severity, Value
from contracts.host import Facts

OPENED = Kind(
    name="ports.listener_opened",
    meaning="A process began to listen.",
    title="{process} listens on {port}",
    severity=Severity.MEDIUM,
    fields={"port": "int", "process": "str", "public": "bool", "names": "list"},
    attack=("T1571",),
    advice="Close it unless it is meant.",
)
FACTS = Facts(
    hostname="web1",
    machine_id="a" * 32,
    boot_id="b" * 32,
    kernel="6.1.0",
    os_name="Debian 12",
    architecture="x86_64",
    cpus=2,
    memory_bytes=1 << 30,
)


@pytest.fixture
def facts() -> Facts:
    """What a machine says of itself."""
    return FACTS


@pytest.fixture
def rendering() -> Rendering:
    """A rendering that knows one kind."""
    return Rendering({OPENED.name: OPENED}, lambda: FACTS, "0.1.0")


@pytest.fixture
def envelope() -> Callable[..., Envelope]:
    """Make an envelope; `seq` and fields as given."""

    def make(
        seq: int = 1, evidence: dict[str, str] | None = None, severity: Severity | None = None, **fields: Value
    ) -> Envelope:
        event = OPENED.event(
            "tcp/22",
            evidence=evidence,
            severity=severity,
            observed_ms=1_700_000_000_000,
            **{"port": 22, "process": "sshd", **fields},
        )
        return Envelope(id=f"0190{seq:04}", agent="agent-1", lane=Lane.NORMAL, seq=seq, event=event)

    return make
