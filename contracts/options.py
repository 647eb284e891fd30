"""The vocabulary of settings: types that say their unit, and the base of every options struct.

A setting is documented where it is declared: `Annotated[T, Meta(description="…", examples=[…])]`. The `settings` package reads
these annotations to check a file, write the sample, the JSON Schema and the reference page.
"""

from typing import Annotated

from msgspec import Meta

from contracts.record import Record

Duration = Annotated[float, Meta(extra_json_schema={"format": "holdfast-duration"})]
"""Seconds. Written `500ms`, `30s`, `5m`, `1h`, `7d`; a bare number is refused, because it does not say its unit."""

Size = Annotated[int, Meta(extra_json_schema={"format": "holdfast-size"})]
"""Bytes. Written `512KiB`, `64MiB`, `1GiB` (or kB, MB, GB by thousands)."""

Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""A local time of day, `HH:MM`."""

Secret = Annotated[str, Meta(extra_json_schema={"format": "holdfast-secret"})]
"""A reference to a secret, never the secret: `file:/path` or `credential:NAME` (a systemd credential)."""

Interval = Annotated[Duration, Meta(description="Time between two runs.")]


class CollectorOptions(Record):
    """Settings every collector has; a collector's own `Options` inherits from it."""

    enabled: Annotated[bool, Meta(description="Whether this collector runs at all.")] = True
    every: Annotated[
        float,
        Meta(
            description="Time between two full looks. Watched subjects are looked at sooner when something changes.",
            extra_json_schema={"format": "holdfast-duration"},
        ),
    ] = 60.0


class ActionOptions(Record):
    """Settings every action has."""

    enabled: Annotated[bool, Meta(description="Whether this action may run at all.")] = True
