"""Loading the agent's configuration: in this process, or in a child so that the long-lived core never carries the YAML parser.

For the composition root:

    vocabulary() -> agent.settings.Vocabulary             # agent/wiring.py provides it: composed type, kinds, actions
    load_agent(path, vocabulary) -> Loaded[AgentSettings] # raises ConfigErrors; imports yaml
    load_in_child(path, kind) -> Config                   # the same through `python -m agent.config_child PATH`; imports nothing heavy

`kind` is `vocabulary().settings`, the composed type. A broken file raises `ConfigErrors` either way and the caller keeps what it has.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.settings import AgentSettings, Vocabulary
from contracts.errors import HoldfastError
from contracts.record import Record
from settings.errors import ConfigError, ConfigErrors

if TYPE_CHECKING:
    from settings.load import Loaded

DEFAULT_PATH = Path("/etc/holdfast/agent.yaml")
CHILD_TIMEOUT_S = 60.0


class LoaderFailed(HoldfastError):
    """The child that reads the configuration broke; the configuration itself may be fine."""

    permanent = False
    exit_code = 70  # EX_SOFTWARE


class ChildAnswer(Record):
    """What the child writes to its standard output as MessagePack: the settings encoded as their own type, or what is wrong."""

    settings: bytes = b""
    errors: tuple[ConfigError, ...] = ()


@dataclass(frozen=True)
class Config:
    """Settings as loaded, and a digest that differs when any value does."""

    settings: AgentSettings
    digest: str


def load_agent(path: Path, vocabulary: Vocabulary) -> "Loaded[AgentSettings]":
    """Return the settings in `path` and its drop-ins with the origin of each; raises `ConfigErrors`."""
    from agent import references
    from settings import load

    loaded = load.explain(path, vocabulary.settings)
    errors = references.check(loaded, vocabulary)
    if errors:
        raise ConfigErrors(errors)
    return loaded


def load_in_child(path: Path, kind: type[AgentSettings], timeout_s: float = CHILD_TIMEOUT_S) -> Config:
    """Return the settings in `path`, read by a child process; raises `ConfigErrors` or `LoaderFailed`."""
    argv = [sys.executable, "-P", "-m", "agent.config_child", str(path)]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise LoaderFailed(
            f"reading {path} took longer than {timeout_s:g} s", advice="try again when the machine is less busy"
        ) from error
    except OSError as error:
        raise LoaderFailed(
            f"the reader of {path} cannot be started: {error.strerror}", advice="check the installation"
        ) from error
    return decode_answer(done.stdout, done.stderr, kind)


def decode_answer(stdout: bytes, stderr: bytes, kind: type[AgentSettings]) -> Config:
    """Return what a child's answer holds; raises `ConfigErrors` or `LoaderFailed`."""
    try:
        answer = msgspec.msgpack.decode(stdout, type=ChildAnswer)
        if answer.errors:
            raise ConfigErrors(answer.errors)
        return Config(msgspec.msgpack.decode(answer.settings, type=kind), digest(answer.settings))
    except msgspec.DecodeError as error:
        last = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise LoaderFailed(
            f"the reader of the configuration broke: {last or error}", advice="run `holdfast check-config`"
        ) from error


def digest(encoded: bytes) -> str:
    """Return a short digest of encoded settings."""
    return hashlib.sha256(encoded).hexdigest()[:16]


def encode(settings: AgentSettings) -> bytes:
    """Return settings as the child passes them on."""
    return msgspec.msgpack.encode(settings)
