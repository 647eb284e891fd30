"""What the control socket answers of things that are kept for watchers: which there are, and one of them."""

import base64
from typing import Any

from agent.control_server import Peer, Verb
from agent.handover import Handover
from contracts.errors import Malformed, UsageError


def verbs(handover: Handover) -> dict[str, Verb]:
    """Return the verbs by name: `kept` lists the things of one sort, oldest first; `kept_one` gives one of them in base64."""

    def kept(_: Peer, arguments: dict[str, Any]) -> Any:
        return handover.listed(_word(arguments, "watcher"), _word(arguments, "what"))

    def kept_one(_: Peer, arguments: dict[str, Any]) -> Any:
        name = _word(arguments, "name")
        content = handover.content(_word(arguments, "watcher"), _word(arguments, "what"), name)
        if content is None:
            raise UsageError(
                f'there is no "{name}"', advice="the list names those that are kept; the oldest give way to new ones"
            )
        return {"name": name, "content": base64.b64encode(content).decode("ascii")}

    return {"kept": kept, "kept_one": kept_one}


def _word(arguments: dict[str, Any], name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str) or not value or "/" in value or value.startswith("."):
        raise Malformed(f"{name} must be a word")
    return value
