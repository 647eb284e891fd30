"""Every entry of every catalog loads and says what the contract asks of it; kinds are unique and consistently typed."""

import importlib
import re
from typing import Any

import msgspec
import pytest

from contracts.catalog import Entry, load
from contracts.event import Kind
from contracts.options import ActionOptions, CollectorOptions
from contracts.record import Record

WORKERS = {"netfilter", "reader", "messenger", "sensor", "backup", "steward"}


def _entries(module: str, name: str) -> tuple[Entry, ...]:
    return tuple(getattr(importlib.import_module(module), name))


COLLECTORS = _entries("collectors.catalog", "CATALOG")
WATCHERS = _entries("collectors.catalog", "WATCHERS")
ACTIONS = _entries("actions.catalog", "CATALOG")
JUDGES = _entries("analysis.catalog", "JUDGES")
ALL = COLLECTORS + WATCHERS + ACTIONS + JUDGES


def _kinds() -> list[Kind]:
    own = [value for value in vars(importlib.import_module("agent.kinds")).values() if isinstance(value, Kind)]
    found: dict[int, Kind] = {id(kind): kind for kind in own}
    for entry in ALL:
        found |= {id(kind): kind for kind in load(entry).kinds}
    return list(found.values())


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.target)
def test_every_entry_loads_and_bears_its_name(entry: Entry) -> None:
    plugin = load(entry)
    assert plugin.name == entry.name
    assert plugin.__doc__
    assert all(isinstance(kind, Kind) for kind in plugin.kinds)


@pytest.mark.parametrize("entry", COLLECTORS + WATCHERS, ids=lambda entry: entry.target)
def test_collectors_live_in_a_worker_and_have_typed_options(entry: Entry) -> None:
    assert entry.worker in WORKERS
    assert issubclass(load(entry).options, CollectorOptions)
    load(entry)(load(entry).options())


@pytest.mark.parametrize("entry", COLLECTORS, ids=lambda entry: entry.target)
def test_rows_are_records(entry: Entry) -> None:
    assert issubclass(load(entry).row, Record)


@pytest.mark.parametrize("entry", ACTIONS, ids=lambda entry: entry.target)
def test_actions_have_typed_options_and_arguments(entry: Entry) -> None:
    action = load(entry)
    assert issubclass(action.options, ActionOptions)
    assert set(action.arguments.values()) <= {"str", "int", "float", "bool", "list"}


@pytest.mark.parametrize("entry", JUDGES, ids=lambda entry: entry.target)
def test_judges_live_in_the_core(entry: Entry) -> None:
    judge = load(entry)
    assert entry.worker == "core"
    assert judge.subjects
    assert all(issubclass(row, Record) for row in judge.subjects.values())


def test_kinds_are_unique() -> None:
    names = [kind.name for kind in _kinds()]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.name)
def test_kinds_are_well_formed(kind: Kind) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", kind.name)
    assert kind.meaning.endswith(".")
    assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", technique) for technique in kind.attack)
    empty: dict[str, Any] = {"str": "x", "int": 1, "float": 1.0, "bool": True, "list": ["x"]}
    fields = {name: empty[kind_of] for name, kind_of in kind.fields.items()}
    assert kind.title.format(key="x", **fields)
    event = kind.event("x", **fields)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=type(event)) == event


def test_a_field_name_means_the_same_type_everywhere() -> None:
    types: dict[str, dict[str, list[str]]] = {}
    for kind in _kinds():
        for name, kind_of in kind.fields.items():
            types.setdefault(name, {}).setdefault(kind_of, []).append(kind.name)
    assert {name: found for name, found in types.items() if len(found) > 1} == {}
