"""The agent's files that are written from declarations; `tools/generate.py` writes them with all others.

`write` and `stale` are generic (name -> content), so that the console's files go the same way.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.settings import Vocabulary
from contracts.event import ATTACK_VERSION, Kind
from contracts.ocsf import CLASS_NAMES, OCSF_VERSION, class_of
from settings.reference import reference
from settings.sample import sample
from settings.schema import schema

_INTRO = (
    "What `/etc/holdfast/agent.yaml` and the files in `/etc/holdfast/agent.d` may hold. Files in the folder are laid over the main "
    "file in the order of their names: sections merge, values and lists are replaced. `holdfast check-config` says what is wrong, "
    "`holdfast config show --origin` says what is in effect and where it came from. Written from the settings by `make generate`."
)
_KINDS_INTRO = (
    "Every kind of event the agent can state. The severity can be changed under `events.severity`. Techniques are of MITRE ATT&CK "
    f"{ATTACK_VERSION}; the class is that of OCSF {OCSF_VERSION}. Written from the declarations by `make generate`."
)


def agent_files(vocabulary: Vocabulary) -> dict[str, str]:
    """Return every file the agent's declarations make, by path within the tree."""
    return {
        "etc/agent.yaml": agent_sample(vocabulary),
        "docs/reference/agent-settings.md": agent_reference(vocabulary),
        "docs/reference/agent-settings.schema.json": agent_schema(vocabulary),
        "docs/reference/kinds.md": kinds_page(vocabulary.kinds.values()),
    }


def agent_sample(vocabulary: Vocabulary) -> str:
    """Return the sample agent.yaml."""
    return sample(vocabulary.settings, "Settings of the Holdfast agent.", "agent")


def agent_reference(vocabulary: Vocabulary) -> str:
    """Return the reference page of the agent's settings."""
    return reference(vocabulary.settings, "Settings of the agent", _INTRO)


def agent_schema(vocabulary: Vocabulary) -> str:
    """Return the JSON Schema of agent.yaml as text."""
    return json.dumps(schema(vocabulary.settings, "Holdfast agent.yaml"), indent=2, ensure_ascii=False) + "\n"


def kinds_page(kinds: Iterable[Kind]) -> str:
    """Return the reference page of event kinds."""
    lines = ["# Kinds of events", "", _KINDS_INTRO]
    subject = ""
    for kind in sorted(kinds, key=lambda kind: kind.name):
        own = kind.name.partition(".")[0]
        if own != subject:
            subject = own
            lines += ["", f"## {subject}"]
        lines += ["", f"### `{kind.name}`", "", kind.meaning, "", *_facts(kind)]
    return "\n".join(lines) + "\n"


def write(files: Mapping[str, str], folder: Path) -> list[str]:
    """Write what differs and return the paths written."""
    changed = stale(files, folder)
    for path in changed:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(files[path])
    return changed


def stale(files: Mapping[str, str], folder: Path) -> list[str]:
    """Return the paths whose content is not what the declarations make."""
    return [
        path
        for path, content in files.items()
        if not (folder / path).is_file() or (folder / path).read_text() != content
    ]


def _facts(kind: Kind) -> list[str]:
    fields = ", ".join(f"`{name}` ({field})" for name, field in kind.fields.items())
    facts = {
        "severity": kind.severity.name.lower(),
        "lane": kind.lane.value,
        "OCSF class": f"{class_of(kind)} {CLASS_NAMES[class_of(kind)]}",
        "ATT&CK": ", ".join(kind.attack),
        "fields": fields,
        "advice": kind.advice,
    }
    return [f"- {name}: {text}" for name, text in facts.items() if text]
