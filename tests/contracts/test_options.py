"""The vocabulary of settings: units, times of day, and what every collector has."""

import msgspec
import pytest

from contracts.options import ActionOptions, Clock, CollectorOptions, Duration, Secret, Size
from contracts.record import Record


class Example(Record):
    at: Clock
    wait: Duration = 1.0
    room: Size = 1
    key: Secret = ""


@pytest.mark.parametrize("text", ["24:00", "7:30", "12:60", "noon", "22:22:22"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"at": text}, Example)


def test_a_time_of_day_is_taken() -> None:
    assert msgspec.convert({"at": "07:30"}, Example).at == "07:30"


def test_the_schema_says_the_units() -> None:
    properties = msgspec.json.schema(Example)["$defs"]["Example"]["properties"]
    formats = {name: properties[name].get("format") for name in ("wait", "room", "key")}
    assert formats == {"wait": "holdfast-duration", "room": "holdfast-size", "key": "holdfast-secret"}


def test_collectors_and_actions_are_on_unless_switched_off() -> None:
    assert CollectorOptions().enabled
    assert CollectorOptions().every == 60.0
    assert ActionOptions().enabled
