"""The composition root: the only file that sees the catalogs of collectors, actions and judges, and `host/`.

Importing it is cheap: the catalogs are names. What is behind a name is imported by the function that needs it.
"""

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from actions.catalog import CATALOG as ACTIONS
from agent.plan import Plan
from agent.responder import DEADLINE_S, Deed
from agent.settings import AgentSettings, Vocabulary, compose, section
from agent.supervision import WorkerSpec
from analysis.catalog import JUDGES
from collectors.catalog import CATALOG as COLLECTORS
from collectors.catalog import WATCHERS
from contracts.catalog import Entry, load
from contracts.errors import Unavailable, Why
from contracts.event import Kind
from contracts.host import Host
from contracts.judge import Judge

if TYPE_CHECKING:
    from actions.backup.desk import Desk as Desk
    from collectors.traffic.rules.desk import RulesDesk as RulesDesk

ON_DEMAND = frozenset({"messenger", "backup", "steward"})
"""Workers that are started by a command and end when idle."""

SAVED = (("policy.json", "", "actions.policy.restore"), ("bans.json", "blocklists", "actions.block.restore"))
"""Files that hold what the kernel forgets at a boot, each with a second one that belongs to it or "", and the module that knows how."""

KIND_MODULES = (
    "agent.kinds",
    "agent.antivirus_proof",
    "agent.control_server",
    "agent.housekeeping",
    "agent.keeper",
    "agent.outbox",
    "agent.reporter",
    "agent.spool.schema",
    "agent.state",
)
"""Modules of the agent's machinery that declare kinds."""


def hosting(worker: str) -> Any:
    """Return the `agent.hosting.Hosting` of one worker: only what it hosts is imported."""
    from agent.hosting import Hosting
    from host.dry_run import DryRun
    from host.linux import LinuxHost, prepare

    prepare(processes=worker == "reader")
    for entry in (*ACTIONS, *WATCHERS):
        if entry.worker == worker:
            _prepare(entry)
    return Hosting(
        make_host=cast(Callable[[], Host], LinuxHost),  # its parts are those of `Host`, named more precisely
        make_dry=DryRun,
        collectors=_loaded(COLLECTORS, worker),
        watchers=_loaded(WATCHERS, worker),
        actions=_loaded(ACTIONS, worker),
    )


def restorers() -> Iterator[tuple[str, str, Callable[[bytes, int, bytes], str]]]:
    """Yield what is brought back at boot: a file of the netfilter worker's folder, a second one that belongs to it or "", and the way.

    That takes the first's content, the time in Unix ms and the second's content, and returns one nft transaction, "" for nothing. What is
    behind it is imported when it is called, so that a defect there does not hold up the others.
    """
    for file, beside, module in SAVED:
        yield file, beside, partial(_restore_script, module)


def _restore_script(module: str, saved: bytes, now_ms: int, beside: bytes) -> str:
    return str(importlib.import_module(module).restore_script(saved, now_ms, beside))


def host() -> Host:
    """Return this machine, for the one entry that changes it without a worker."""
    from host.linux import LinuxHost

    return cast(Host, LinuxHost())


def backup_desk() -> "type[Desk]":
    """Return the way into a repository of backups, for commands that work on one without the agent."""
    from actions.backup import desk

    return desk.Desk


def rules_desk() -> "RulesDesk":
    """Return what commands need of the traffic rules; no worker is asked, the files are the caller's.

    Raises `Unavailable` where the sensor's libraries are not there.
    """
    try:
        from collectors.traffic.rules.desk import RulesDesk
    except ImportError as error:
        raise Unavailable(
            Why.TOOL_MISSING,
            f"the sensor's libraries are not all there: {error}",
            advice=f"Install them for this Python: {sys.prefix}/bin/python -m pip install 'holdfast[sensor]'.",
        ) from error

    return RulesDesk()


def judges() -> list[Judge[Any]]:
    """Return every judge; they are pure and small and run in the core."""
    return [load(entry)() for entry in JUDGES]


@cache
def vocabulary() -> Vocabulary:
    """Return what a configuration may speak of."""
    collectors = {entry.name: load(entry).options for entry in COLLECTORS}
    actions = {entry.name: load(entry) for entry in ACTIONS}
    own = {entry.name: actions[entry.name].options for entry in ACTIONS if not entry.section}
    shared = {entry.section: actions[entry.name].options for entry in ACTIONS if entry.section}
    return Vocabulary(
        settings=compose(collectors, own, shared),
        kinds={kind.name: kind for kind in kinds()},
        actions={name: action.arguments for name, action in actions.items()},
    )


def kinds() -> Iterator[Kind]:
    """Yield every kind that any part of the agent declares, each once."""
    seen: set[str] = set()
    for kind in (*_own_kinds(), *(kind for entry in _entries() for kind in load(entry).kinds)):
        if kind.name not in seen:
            seen.add(kind.name)
            yield kind


def plan(path: Path) -> Plan:
    """Return what the configuration in `path` asks for; raises `ConfigErrors`. Imports everything: for a child process."""
    from importlib import metadata

    from agent import config, standing
    from agent.antivirus_plan import antivirus_plan
    from agent.backup_plan import backup_plan
    from agent.history_plan import history_plan
    from host.linux import LinuxHost

    loaded = config.load_agent(path, vocabulary())
    settings = loaded.value
    facts = LinuxHost().facts()
    backups, timed = backup_plan(getattr(settings, "backup", None), facts.machine_id, _patterns)
    antivirus_proof_s, antivirus = antivirus_plan(getattr(settings, "antivirus", None), facts.machine_id)
    looks = {e.name: section(settings, "collectors", e.name).every for e in COLLECTORS if _enabled(settings, e)}
    watchers = {e.name: e.name for e in WATCHERS if _enabled(settings, e)}
    return Plan(
        settings=AgentSettings(
            **{name: getattr(settings, name) for name in AgentSettings.__struct_fields__ if name != "rules"},
            rules=standing.rules(settings),
        ),
        digest=config.digest(config.encode(settings)),
        workers=tuple(_specs(settings, looks, watchers)),
        looks=looks,
        watchers=watchers,
        disabled=tuple(e.name for e in COLLECTORS if e.name not in looks),
        deeds={
            e.name: _deed(e)
            for e in ACTIONS
            if _action_options(settings, e).enabled and (not e.subject or e.subject in looks)
        },
        kinds=dict(vocabulary().kinds),
        facts=facts,
        timed={**timed, **antivirus, **history_plan(getattr(settings, "history", None), facts.machine_id)},
        antivirus_proof_s=antivirus_proof_s,
        backups=backups,
        version=metadata.version("holdfast"),
        files=tuple(str(file) for file in loaded.files),
    )


def _patterns(path: str) -> list[str]:
    """Return the patterns of an exclude file; raises `Unavailable` where it may not be read."""
    from analysis.excludes import read_patterns
    from host.linux import LinuxHost

    return read_patterns(LinuxHost().files.read(path).decode("utf-8", "surrogateescape"), {})


def _action_options(settings: AgentSettings, entry: Entry) -> Any:
    """Return the options of an action: its own section, or the one that it shares."""
    return getattr(settings, entry.section) if entry.section else section(settings, "actions", entry.name)


def _enabled(settings: AgentSettings, entry: Entry) -> bool:
    return bool(section(settings, "collectors", entry.name).enabled)


def _specs(settings: AgentSettings, looks: Mapping[str, float], watchers: Mapping[str, str]) -> Iterator[WorkerSpec]:
    from agent import standing
    from agent.identity import enrolled_url
    from agent.privileges import WORKERS

    enrolled = enrolled_url(Path(settings.directories.state))
    for name, privileges in WORKERS.items():
        subjects = tuple(e.name for e in COLLECTORS if e.worker == name and e.name in looks)
        watching = tuple(e.name for e in WATCHERS if e.worker == name and e.name in watchers)
        hosted = tuple(e for e in ACTIONS if e.worker == name and (not e.subject or e.subject in looks))
        actions = tuple(e.name for e in hosted)
        if not (subjects or watching or actions):
            continue
        looking = {name: section(settings, "collectors", name) for name in (*subjects, *watching)}
        options = {name: standing.looking(settings, name, configured) for name, configured in looking.items()}
        deeds = {e.name: standing.options(settings, e.name, _action_options(settings, e), enrolled) for e in hosted}
        options.update(deeds)
        yield WorkerSpec(
            name=name,
            user=privileges.user,
            capabilities=privileges.capabilities,
            on_demand=name in ON_DEMAND,
            subjects=subjects,
            off=tuple(e.name for e in COLLECTORS if e.worker == name and e.name not in looks),
            watchers=watching,
            actions=actions,
            options={name: msgspec.msgpack.encode(value) for name, value in options.items()},
            kinds=_kinds_of({*subjects, *watching, *actions}),
            **_held(settings, watching),
        )


def _held(settings: AgentSettings, watching: tuple[str, ...]) -> dict[str, Any]:
    """Return what is held for those of a worker's watchers that take other settings and files while they watch."""
    live = {e.name: load(e) for e in WATCHERS if e.name in watching}
    live = {name: watcher for name, watcher in live.items() if getattr(watcher, "live", False)}
    options = {name: section(settings, "collectors", name) for name in live}
    return {
        "live": tuple(live),
        "materials": {name: watcher.materials(options[name]) for name, watcher in live.items()},
        "keeps": {name: watcher.keeps(options[name]) for name, watcher in live.items()},
    }


def _kinds_of(names: set[str]) -> dict[str, tuple[str, ...]]:
    """Return the kinds that each collector, watcher and action declares; a watcher shares its collector's name."""
    found: dict[str, set[str]] = {}
    for entry in (*COLLECTORS, *WATCHERS, *ACTIONS):
        if entry.name in names:
            found.setdefault(entry.name, set()).update(kind.name for kind in load(entry).kinds)
    return {name: tuple(sorted(declared)) for name, declared in found.items()}


def _deed(entry: Entry) -> Deed:
    action = load(entry)
    deadline_s = float(getattr(action, "deadline_s", DEADLINE_S))
    return Deed(action=entry.name, worker=entry.worker, arguments=dict(action.arguments), deadline_s=deadline_s)


def _loaded(entries: tuple[Entry, ...], worker: str) -> dict[str, Any]:
    return {entry.name: load(entry) for entry in entries if entry.worker == worker}


def _prepare(entry: Entry) -> None:
    """Let the module of an action or watcher import what it otherwise imports late, when a worker may be unable to read it."""
    module = importlib.import_module(entry.target.partition(":")[0])
    prepare = getattr(module, "prepare", None)
    if prepare is not None:
        prepare()


def _entries() -> tuple[Entry, ...]:
    return (*COLLECTORS, *WATCHERS, *ACTIONS, *JUDGES)


def _own_kinds() -> Iterator[Kind]:
    for name in KIND_MODULES:
        for value in vars(importlib.import_module(name)).values():
            if isinstance(value, Kind):
                yield value
