"""The settings of the holdings collector."""

from typing import Annotated

from msgspec import Meta

from analysis.excludes import parse_tag
from contracts.errors import UsageError
from contracts.options import CollectorOptions


class Options(CollectorOptions):
    """What this host holds that a backup should have: databases, file systems, volumes, settings, data."""

    every: Annotated[
        float, Meta(description="Time between two looks.", extra_json_schema={"format": "holdfast-duration"}, ge=60.0)
    ] = 3600.0
    tags: Annotated[
        tuple[str, ...],
        Meta(
            description="Files by which backups leave directories out, as in `exclude_if_present` of jobs, whose own are added."
        ),
    ] = ()

    def __post_init__(self) -> None:
        try:
            for entry in self.tags:
                parse_tag(entry)
        except UsageError as error:
            raise ValueError(f"tags: {error}") from error
