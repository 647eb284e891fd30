"""The settings of the holdings collector."""

from typing import Annotated

from msgspec import Meta

from contracts.options import CollectorOptions


class Options(CollectorOptions):
    """What this host holds that a backup should have: databases, file systems, volumes, settings, data."""

    every: Annotated[
        float, Meta(description="Time between two looks.", extra_json_schema={"format": "holdfast-duration"}, ge=60.0)
    ] = 3600.0
