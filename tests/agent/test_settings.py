"""The agent's settings compose from what collectors and actions declare; rules match events by kind and typed fields."""

from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta

from agent.settings import AgentSettings, Compare, Rule, compose, section
from contracts.event import Event, Kind, Severity
from contracts.options import ActionOptions, CollectorOptions
from settings.errors import ConfigErrors
from settings.load import parse
from settings.sample import sample, uncommented


class Ports(CollectorOptions):
    """Listening ports."""

    expected: Annotated[tuple[str, ...], Meta(description="Expected.")] = ()


class Notify(ActionOptions):
    """Tell someone."""


SETTINGS = compose({"ports": Ports}, {"notify": Notify})
OPENED = Kind(
    name="ports.listener_opened",
    meaning="Opened.",
    title="{port}",
    severity=Severity.MEDIUM,
    fields={"port": "int", "process": "str", "tags": "list", "public": "bool"},
)


def opened(**fields: Any) -> Event:
    return OPENED.event("tcp/22", **{"port": 22, "process": "sshd", "tags": ["a", "b"], "public": True, **fields})


def rule(**match: Any) -> Rule:
    return Rule(when="ports.*", do="notify", match=match)


def test_composed_settings_hold_a_section_for_each_collector_and_action() -> None:
    found = parse(b"collectors: {ports: {expected: [22/tcp]}}\nactions: {notify: {enabled: false}}\n", SETTINGS)
    assert isinstance(found, AgentSettings)
    assert section(found, "collectors", "ports").expected == ("22/tcp",)
    assert not section(found, "actions", "notify").enabled


def test_settings_travel_as_messagepack() -> None:
    encoded = msgspec.msgpack.encode(SETTINGS())
    assert msgspec.msgpack.decode(encoded, type=SETTINGS) == SETTINGS()


def test_the_sample_of_the_composed_settings_means_their_defaults() -> None:
    text = sample(SETTINGS, "x", "agent")
    assert parse(text.encode(), SETTINGS) == SETTINGS() == parse(uncommented(text).encode(), SETTINGS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("console: {url: http://x}", "url must be https://"),
        ("console: {url: 'https://user@x:1/'}", "url must be https://"),
        (
            "outputs: {prometheus: {listen: '0.0.0.0:9464'}}",
            "write it like unix:/run/holdfast/metrics.sock or 127.0.0.1:9464",
        ),
        ("outputs: {prometheus: {listen: '127.0.0.1:99999'}}", "listen: 99999 is not a port from 1 to 65535"),
        ("directories: {state: var}", '"var" is not an absolute path; begin it with /'),
        ("rules: [{when: a, do: b, match: {x: {}}}]", "compares with nothing"),
        ("collectors: {prots: {}}", 'did you mean "ports"?'),
        ("heartbeat: {every: 100ms}", "less than the least allowed, 1s"),
    ],
)
def test_wrong_settings_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        parse(text.encode(), SETTINGS)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"port": 22},
        {"port": (80, 22)},
        {"process": "sshd"},
        {"tags": "b"},
        {"public": True},
        {"severity": "medium"},
        {"key": "tcp/22"},
        {"port": Compare(at_least=22, below=23)},
        {"process": Compare(glob="ss*")},
        {"process": Compare(other_than=("nginx",))},
        {"tags": Compare(glob="a")},
        {"tags": Compare(other_than=("c",))},
    ],
)
def test_a_rule_matches_what_it_says(match: dict[str, Any]) -> None:
    assert rule(**match).matches(opened())


@pytest.mark.parametrize(
    "match",
    [
        {"port": 23},
        {"port": (80, 443)},
        {"port": "22"},
        {"public": 1},
        {"port": True},
        {"absent": 1},
        {"severity": "high"},
        {"port": Compare(above=22)},
        {"port": Compare(at_most=21)},
        {"process": Compare(above=1)},
        {"public": Compare(at_least=0)},
        {"process": Compare(glob="ss")},
        {"port": Compare(glob="*")},
        {"tags": Compare(other_than=("a",))},
        {"port": 22, "process": "x"},
    ],
)
def test_a_rule_matches_nothing_else(match: dict[str, Any]) -> None:
    assert not rule(**match).matches(opened())


def test_a_glob_is_no_regular_expression() -> None:
    assert not Rule(when="ports.listener.opened", do="x").concerns("ports.listener_opened")
    assert not Rule(when="ports.[a-z]*", do="x").concerns("ports.listener_opened")
    assert Rule(when="*.listener_*", do="x").concerns("ports.listener_opened")


def test_rules_are_dry_runs_unless_told_otherwise() -> None:
    (found,) = parse(b"rules: [{when: a, do: b, with: {to: me}}]", SETTINGS).rules
    assert found.dry_run
    assert found.arguments == {"to": "me"}
    assert (found.at_most.times, found.at_most.per) == (10, 3600.0)


def test_the_control_socket_is_in_the_runtime_directory_unless_named() -> None:
    assert str(SETTINGS().control_socket) == "/run/holdfast/control.sock"
    assert str(parse(b"control: {socket: /x/y}", SETTINGS).control_socket) == "/x/y"
