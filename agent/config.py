"""Loading the agent's configuration: typed, with the origin of every value, and with everything it refers to checked.

Imports the YAML parser when called; the long-lived core therefore lets a child process do it (see `agent/plan.py`).
"""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.settings import AgentSettings, Vocabulary
from settings.errors import ConfigErrors

if TYPE_CHECKING:
    from settings.load import Loaded

DEFAULT_PATH = Path("/etc/holdfast/agent.yaml")


def load_agent(path: Path, vocabulary: Vocabulary) -> "Loaded[AgentSettings]":
    """Return the settings in `path` and its drop-ins with the origin of each; raises `ConfigErrors` with all that is wrong."""
    from agent import references
    from settings import load

    loaded = load.explain(path, vocabulary.settings)
    errors = references.check(loaded, vocabulary)
    if errors:
        raise ConfigErrors(errors)
    return loaded


def encode(settings: AgentSettings) -> bytes:
    """Return settings as MessagePack of their own type."""
    return msgspec.msgpack.encode(settings)


def digest(encoded: bytes) -> str:
    """Return a short digest of encoded settings; it differs when any value does."""
    return hashlib.sha256(encoded).hexdigest()[:16]
