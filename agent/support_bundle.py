"""An archive for support that is free of secrets by construction.

Nothing is copied and cleaned afterwards. Every value is built anew from what may be known: numbers, truth values, and words of closed lists
(states, outcomes, names of our own settings, subjects, kinds, workers, tools). Free text of any origin (texts of settings, unknown names,
messages, paths, event fields, what a worker says) never has a way in, so there is nothing to find and blank out.
"""

import gzip
import hashlib
import io
import json
import os
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import inspect as mi

from agent import config, privileges
from agent.diagnosis import TOOLS, Check
from agent.settings import AgentSettings, Vocabulary
from contracts.coverage import Coverage
from contracts.errors import HoldfastError, Why
from contracts.event import Lane, Severity
from settings.convert import unwrap
from settings.errors import ConfigErrors
from settings.flat import flat
from settings.load import Loaded

Ask = Callable[[str, Mapping[str, Any]], Any]
Rule = Callable[[Any], Any]

MAX_ROWS = 10_000
_STATE_FILE = re.compile(r"(spool|state)[a-z-]{0,12}(\.(db|sqlite|sqlite3))?(-wal|-shm)?")
_RELEASE = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4}){0,3}")
_CHECKS = (
    "configuration", "user", "group", "state folder", "runtime folder", "folder of events.ndjson", "tool", "kernel", "disk", "time",
    "capabilities of", "socket of", "agent at", "worker", "output", "view of", "enrolment", "certificate", "console", "reports",
    "clock skew",
)  # fmt: skip
_ABOUT = frozenset(TOOLS) | {"ndjson", "journald", "socket diagnosis", "nftables messages", "pressure", "in use"}
"""What the name of a check may end with besides names of our subjects, workers and users."""


class BundleExists(HoldfastError):
    """The archive's file is there already."""

    exit_code = 74


def write(target: Path, parts: Mapping[str, Any], now_s: int) -> list[str]:
    """Write `parts` (name -> JSON value) and their manifest as a gzipped tar readable by its owner alone; return the names."""
    files = {
        f"{name}.json": json.dumps(value, indent=2, sort_keys=True).encode() + b"\n" for name, value in parts.items()
    }
    manifest = {
        "created_s": now_s,
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for name, body in sorted(files.items())
        },
    }
    files["manifest.json"] = json.dumps(manifest, indent=2).encode() + b"\n"
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise BundleExists(f"{target} is there already", advice="name another with --output") from error
    with (
        os.fdopen(descriptor, "wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=now_s) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, body in sorted(files.items()):
            entry = tarfile.TarInfo(f"holdfast-support/{name}")
            entry.size, entry.mtime, entry.mode = len(body), now_s, 0o600
            archive.addfile(entry, io.BytesIO(body))
    return sorted(files)


def collect(path: Path, vocabulary: Vocabulary, ask: Ask, checks: Iterable[Check], version: str) -> dict[str, Any]:
    """Return the parts of a bundle for the agent whose configuration is in `path`; `ask` asks the running agent."""
    settings, problems = _configuration(path, vocabulary)
    state = Path((settings.value if settings else vocabulary.settings()).directories.state)
    subjects = _subjects(vocabulary)
    return {
        "agent": {"version": version, "system": _system(), "files": _sizes(state)},
        "settings": _settings(settings) if settings else [],
        "settings-problems": problems,
        "checks": [_check(check, subjects) for check in checks],
        **_answers(ask, subjects, vocabulary),
    }


def _answers(ask: Ask, subjects: frozenset[str], vocabulary: Vocabulary) -> dict[str, Any]:
    """Ask the running agent, and keep of its answers what the rules let through."""
    rules: dict[str, tuple[str, Mapping[str, Any], Rule]] = {
        "status": ("status", {}, _status(subjects)),
        "coverage": ("coverage", {}, _coverage(subjects)),
        "ledger": ("ledger", {}, _ledger(subjects)),
        "events": ("events", {"limit": MAX_ROWS}, lambda answer: _events(answer, frozenset(vocabulary.kinds))),
    }
    found: dict[str, Any] = {}
    for name, (verb, arguments, rule) in rules.items():
        try:
            found[name] = rule(ask(verb, arguments))
        except HoldfastError as error:
            found[name] = {"unavailable": type(error).__name__}
    return found


# ---- rules: what may pass, by shape ----------------------------------------------------------------------------------


def number(value: Any) -> Any:
    """Let numbers and truth values pass."""
    return value if isinstance(value, (bool, int, float)) else None


def word(choices: Iterable[str]) -> Rule:
    """Let the words of a closed list pass; another becomes "other", so that its presence shows and its text does not."""
    closed = frozenset(choices)
    return lambda value: value if isinstance(value, str) and value in closed else "other"


def fields(**rules: Rule) -> Rule:
    """Let the named fields of a mapping pass, each by its own rule."""
    return lambda value: (
        {name: rule(value[name]) for name, rule in rules.items() if name in value} if isinstance(value, dict) else None
    )


def each(rule: Rule) -> Rule:
    """Let the items of a list pass, each by `rule`."""
    return lambda value: [rule(item) for item in value[:MAX_ROWS]] if isinstance(value, list) else []


def _status(subjects: frozenset[str]) -> Rule:
    workers = word(privileges.WORKERS)
    states = word(("running", "idle", "starting", "backing_off", "stopped"))
    return fields(
        uptime_s=number,
        counts=fields(seen=number, partial=number, unseen=number, unknown=number, held=number),
        console=fields(connected=number, last_ok_ms=number, skew_ms=number),
        core=fields(uid=number, capabilities=each(word(privileges.CAPABILITIES))),
        config=fields(pending=number),
        workers=each(fields(name=workers, state=states, pid=number, restarts=number, uid=number)),
        lanes=each(
            fields(lane=word(lane.value for lane in Lane), waiting=number, bytes=number, next_seq=number, lost=number)
        ),
        outputs=each(fields(name=word(("ndjson", "journald", "prometheus")), written=number, lost=number)),
        sights=each(_sight(subjects)),
    )


def _coverage(subjects: frozenset[str]) -> Rule:
    return fields(**{name: each(_sight(subjects)) for name in Coverage.__struct_fields__})


def _sight(subjects: frozenset[str]) -> Rule:
    return fields(
        subject=word(subjects),
        state=word(("seen", "partial", "unseen", "unknown", "disabled")),
        since_ms=number,
        last_ok_ms=number,
        rows=number,
        blind=each(fields(why=word(why.value for why in Why))),
    )


def _ledger(subjects: frozenset[str]) -> Rule:
    counts = ("runs", "ok", "unavailable", "failed", "cpu_s", "wall_s", "read_bytes", "peak_bytes", "events", "rows")
    return each(fields(name=word(subjects), **dict.fromkeys(counts, number)))


def _events(answer: Any, kinds: frozenset[str]) -> Any:
    """Return how many of the recent events are of which kind and severity; never what they say."""
    counted: Counter[tuple[str, str]] = Counter()
    known, severities = word(kinds), {int(severity): severity.name.lower() for severity in Severity}
    for row in answer if isinstance(answer, list) else []:
        event = row.get("event") if isinstance(row, dict) and isinstance(row.get("event"), dict) else row
        if isinstance(event, dict):
            severity = event.get("severity")
            counted[
                known(event.get("kind")), severities.get(severity, "other") if isinstance(severity, int) else "other"
            ] += 1
    return [{"kind": kind, "severity": severity, "count": count} for (kind, severity), count in sorted(counted.items())]


# ---- what is built from files ----------------------------------------------------------------------------------------


def _configuration(path: Path, vocabulary: Vocabulary) -> tuple[Loaded[AgentSettings] | None, list[dict[str, Any]]]:
    try:
        return config.load_agent(path, vocabulary), []
    except ConfigErrors as error:
        known = {each.path for each in flat(Loaded(vocabulary.settings()))}
        rule = word(known)
        return None, [
            {"drop_in": item.file != str(path), "line": item.line, "column": item.column, "setting": rule(item.path)}
            for item in error.items
        ]


def _settings(loaded: Loaded[AgentSettings]) -> list[dict[str, Any]]:
    """Return every setting: its name, whether it was set, and its value where the type leaves no room for free text."""
    closed = _closed_settings(mi.type_info(type(loaded.value)), "")
    return [
        {
            "setting": each.path,
            "set": each.mark is not None,
            "value": each.written if each.path in closed else "(text left out)",
        }
        for each in flat(loaded)
    ]


def _closed_settings(kind: mi.Type, path: str) -> set[str]:
    plain, form = unwrap(kind)
    if isinstance(plain, mi.StructType):
        return {
            found
            for field in plain.fields
            for found in _closed_settings(field.type, f"{path}.{field.encode_name}" if path else field.encode_name)
        }
    closed = isinstance(plain, (mi.BoolType, mi.IntType, mi.FloatType, mi.EnumType, mi.LiteralType)) or form in {
        "holdfast-duration",
        "holdfast-size",
    }
    return {path} if closed else set()


def _check(check: Check, subjects: frozenset[str]) -> dict[str, Any]:
    topic = next(
        (
            each
            for each in sorted(_CHECKS, key=len, reverse=True)
            if check.name == each or check.name.startswith(f"{each} ")
        ),
        "other",
    )
    about = check.name.removeprefix(topic).strip()
    users = {worker.user for worker in privileges.WORKERS.values()} | {"holdfast"}
    known = about in subjects or about in privileges.WORKERS or about in _ABOUT or about in users
    return {"check": f"{topic} {about}" if known else topic, "state": check.state}


def _subjects(vocabulary: Vocabulary) -> frozenset[str]:
    """Return every name a run or subject may have: collectors, actions, and what kinds are about."""
    composed = vocabulary.settings()
    names = {name for part in ("collectors", "actions") for name in getattr(composed, part).__struct_fields__}
    return frozenset(names | {kind.partition(".")[0] for kind in vocabulary.kinds} | {"agent.runs"})


def _system() -> dict[str, Any]:
    release = _RELEASE.match(os.uname().release)
    return {"kernel": release[0] if release else "other", "cpus": os.cpu_count(), "python": list(sys.version_info[:3])}


def _sizes(state: Path) -> dict[str, int]:
    """Return the sizes of the agent's own databases."""
    try:
        return {entry.name: entry.stat().st_size for entry in state.iterdir() if _STATE_FILE.fullmatch(entry.name)}
    except OSError:  # not readable or not there; the checks say which
        return {}
