"""Every kind that is declared becomes an OCSF event that the published models accept, whatever its fields hold."""

import importlib
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py_ocsf_models.events.base_event import BaseEvent
from py_ocsf_models.events.findings.detection_finding import DetectionFinding
from py_ocsf_models.objects.device import Device
from py_ocsf_models.objects.metadata import OCSF_VERSION as MODELLED_VERSION
from py_ocsf_models.objects.product import Product
from pydantic import BaseModel

from contracts.event import Envelope, Kind, Lane, Severity
from contracts.host import Facts
from contracts.ocsf import CLASS_NAMES, ERROR, FINDING, LIFECYCLE, OCSF_VERSION, to_ocsf

FACTS = Facts(
    hostname="web1",
    machine_id="a" * 32,
    boot_id="b" * 32,
    kernel="6.1",
    os_name="Debian 12",
    architecture="x86_64",
    cpus=2,
    memory_bytes=1,
)
TEXT = st.text(max_size=12)
FIELDS = {
    "str": TEXT,
    "int": st.integers(-(2**53), 2**53),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "list": st.lists(TEXT, max_size=3),
}

CLASS_SPECIFIC = {
    "finding_info",
    "status_id",
    "status",
    "remediation",
    "evidences",
    "count",
    "app",
    "state",
    "state_id",
}
OF_EVERY_CLASS = {
    "class_uid",
    "class_name",
    "category_uid",
    "category_name",
    "activity_id",
    "activity_name",
    "type_uid",
    "type_name",
    "time",
    "severity_id",
    "severity",
    "message",
    "metadata",
    "device",
    "unmapped",
}


def declared() -> Iterator[Kind]:
    """Every kind of every catalog, and one of each class in case none declares it."""
    catalogs = {
        "collectors.catalog": ("CATALOG", "WATCHERS"),
        "actions.catalog": ("CATALOG",),
        "analysis.catalog": ("JUDGES",),
    }
    for module, names in catalogs.items():
        for name in names:
            for entry in getattr(importlib.import_module(module), name):
                target, _, attribute = entry.target.partition(":")
                yield from getattr(importlib.import_module(target), attribute).kinds
    yield from (value for value in vars(importlib.import_module("agent.kinds")).values() if isinstance(value, Kind))
    for class_uid in (*CLASS_NAMES, 6003):
        yield Kind(
            name=f"test.class_{class_uid}",
            meaning="x.",
            title="{a} {key}",
            severity=Severity.LOW,
            fields={"a": "str"},
            attack=("T1562.001",),
            ocsf_class=class_uid,
        )


KINDS = list({kind.name: kind for kind in declared()}.values())


@st.composite
def envelopes(draw: st.DrawFn, kind: Kind) -> Envelope:
    fields = {name: draw(st.none() | FIELDS[kind_of]) for name, kind_of in kind.fields.items()}
    event = kind.event(
        draw(TEXT),
        severity=draw(st.none() | st.sampled_from(Severity)),
        evidence=draw(st.dictionaries(TEXT, TEXT, max_size=2)),
        observed_ms=draw(st.integers(0, 2**42)),
        **fields,
    )
    return Envelope(
        id="01900000-0000-7000-8000-000000000000",
        agent="agent-1",
        lane=Lane.NORMAL,
        seq=draw(st.integers(1, 2**40)),
        event=event,
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@given(data=st.data())
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_kind_validates_with_any_field_values(kind: Kind, data: st.DataObject) -> None:
    body = json.loads(json.dumps(to_ocsf(data.draw(envelopes(kind)), kind, FACTS, chain=b"\x01" * 32, version="0.1.0")))
    assert body["type_uid"] == body["class_uid"] * 100 + body["activity_id"]
    assert body["category_uid"] == body["class_uid"] // 1000
    assert set(body) <= OF_EVERY_CLASS | CLASS_SPECIFIC
    if body["class_uid"] == FINDING:
        DetectionFinding.model_validate(body)
        assert unknown(body, DetectionFinding, ignore={"device"}) == []
    else:
        BaseEvent.model_validate(body)
    # The device model asks for an address and a region, which OCSF itself only recommends; the rest must fit.
    Device.model_validate({**body["device"], "ip": "192.0.2.1", "region": "none"})
    assert unknown(body["device"], Device) == []
    if body["class_uid"] == LIFECYCLE:
        Product.model_validate(body["app"])


def unknown(body: dict[str, Any], model: type[BaseModel], ignore: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """Return every attribute of `body` that the published model does not have, at any depth."""
    found = []
    for name, value in body.items():
        if name in ignore:
            continue
        if name not in model.model_fields:
            found.append(f"{model.__name__}.{name}")
            continue
        inner = next(
            (
                each
                for each in types(model.model_fields[name].annotation)
                if isinstance(each, type) and issubclass(each, BaseModel)
            ),
            None,
        )
        for item in value if isinstance(value, list) else [value]:
            if inner is not None and isinstance(item, dict):
                found += unknown(item, inner)
    return found


def types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in get_args(annotation):
        yield from types(inner)


def made(kind: Kind, **fields: Any) -> dict[str, Any]:
    envelope = Envelope(
        id="i",
        agent="agent-1",
        lane=Lane.NORMAL,
        seq=3,
        event=kind.event("k", observed_ms=5, evidence={"rule": "x"}, **fields),
    )
    return to_ocsf(envelope, kind, FACTS, chain=b"\xab" * 32)


def kind_of(class_uid: int, name: str = "firewall.policy_opened") -> Kind:
    return Kind(
        name=name,
        meaning="M.",
        title="{chain} is open",
        severity=Severity.HIGH,
        fields={"chain": "str"},
        attack=("T1562.004",),
        advice="A.",
        ocsf_class=class_uid,
    )


def test_the_stated_version_is_the_one_the_models_have() -> None:
    assert OCSF_VERSION == MODELLED_VERSION


def test_a_finding_says_what_was_found_where_and_what_to_do() -> None:
    body = made(kind_of(FINDING), chain="input")
    assert body["message"] == body["finding_info"]["title"] == "input is open"
    assert body["finding_info"]["types"] == ["firewall.policy_opened"]
    (attack,) = body["finding_info"]["attacks"]
    assert (attack["technique"]["uid"], attack["sub_technique"]["uid"]) == ("T1562", "T1562.004")
    assert attack["sub_technique"]["name"] == "Disable or Modify System Firewall"
    assert body["remediation"] == {"desc": "A."}
    assert body["evidences"] == [{"data": {"rule": "x"}}]
    assert body["device"]["hostname"] == "web1"
    assert body["severity_id"] == 4


def test_what_ocsf_has_no_place_for_is_kept() -> None:
    ours = made(kind_of(FINDING), chain="input")["unmapped"]["holdfast"]
    assert ours["lane"] == "normal"
    assert ours["seq"] == 3
    assert ours["chain"] == "ab" * 32
    assert ours["fields"] == {"chain": "input"}


def test_the_agents_life_is_a_lifecycle() -> None:
    assert made(kind_of(LIFECYCLE, "agent.started"))["type_uid"] == 600203
    assert made(kind_of(LIFECYCLE, "agent.stopped"))["type_uid"] == 600204
    other = made(kind_of(LIFECYCLE, "agent.config_loaded"))
    assert (other["type_uid"], other["activity_name"]) == (600299, "agent.config_loaded")


def test_an_error_of_ours_is_an_application_error() -> None:
    body = made(kind_of(ERROR))
    assert body["type_uid"] == 600801
    assert "finding_info" not in body
    assert body["unmapped"]["holdfast"]["evidence"] == {"rule": "x"}


def test_a_class_that_asks_for_what_an_agent_does_not_know_becomes_a_finding() -> None:
    assert made(kind_of(6003))["class_uid"] == FINDING


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_technique_has_its_name(kind: Kind) -> None:
    for attack in made_attacks(kind):
        assert attack["name"] != attack["uid"], f"{attack['uid']} lacks a name in contracts/ocsf.py"


def made_attacks(kind: Kind) -> Iterator[dict[str, Any]]:
    envelope = Envelope(id="i", agent="a", lane=Lane.NORMAL, seq=1, event=kind.event("k"))
    for attack in to_ocsf(envelope, kind, FACTS).get("finding_info", {}).get("attacks", []):
        yield from (attack[name] for name in ("technique", "sub_technique") if name in attack)
