"""A small settings type with one of everything."""

from enum import StrEnum
from typing import Annotated, Literal

import pytest
from msgspec import Meta, field

from contracts.event import Severity, Value
from contracts.options import Clock, CollectorOptions, Duration, Secret, Size
from contracts.record import Record


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Rule(Record):
    """One rule."""

    when: Annotated[str, Meta(description="Kind.", min_length=1)]
    dry_run: Annotated[bool, Meta(description="Only say it.")] = True
    arguments: Annotated[dict[str, Value], Meta(description="Arguments.")] = field(name="with", default_factory=dict)


class Mail(Record, tag="mail", tag_field="via"):
    """By mail."""

    to: str = ""


class Hook(Record, tag="hook", tag_field="via"):
    """By web hook."""

    url: str = ""


class Ports(CollectorOptions):
    """Listening ports."""

    every: Annotated[Duration, Meta(description="How often.", ge=1.0, le=86400.0)] = 300.0
    expected: Annotated[tuple[str, ...], Meta(description="Expected ports.", examples=[["22/tcp"]])] = ("22/tcp", "a b")
    severity: Annotated[Severity, Meta(description="How bad.")] = Severity.LOW
    colour: Annotated[Colour, Meta(description="Colour.")] = Colour.RED
    mode: Annotated[Literal["fast", "full"], Meta(description="Mode.")] = "full"
    token: Annotated[Secret | None, Meta(description="Token.")] = None
    at: Annotated[Clock, Meta(description="When.")] = "03:30"
    limit: Annotated[int, Meta(description="Limit | bound.", ge=0, le=100)] = 3
    share: Annotated[float, Meta(description="Share.", gt=0.0, lt=1.0)] = 0.5
    room: Annotated[Size, Meta(description="Room.", ge=1)] = 64 << 20
    text: Annotated[str, Meta(description="Text.", max_length=20)] = "no"
    pair: Annotated[tuple[int, str], Meta(description="Pair.")] = (1, "one")
    tags: Annotated[frozenset[str], Meta(description="Tags.")] = frozenset()
    free: Annotated[dict[str, Value], Meta(description="Free.")] = field(default_factory=dict)
    limits: Annotated[dict[str, int], Meta(description="Limits.", max_length=2)] = field(default_factory=dict)
    notify: Annotated[Mail | Hook | None, Meta(description="Whom.")] = None

    def __post_init__(self) -> None:
        if self.limit == 13:
            raise ValueError("limit must not be 13; choose another")
        if "bad" in self.expected:
            raise ValueError(f"expected[{self.expected.index('bad')}]: bad is not allowed")


class Collectors(Record):
    """What is looked at."""

    ports: Ports = Ports(limit=4)


class Settings(Record):
    """All settings."""

    name: Annotated[str, Meta(description="Name.")] = ""
    collectors: Collectors = Collectors()
    rules: Annotated[tuple[Rule, ...], Meta(description="Rules.")] = ()


@pytest.fixture(scope="session")
def kind() -> type[Settings]:
    """The settings type of these tests."""
    return Settings
