"""Settings of the tripwire: from where on a run of a backup looks like the work of an attacker."""

from typing import Annotated

from msgspec import Meta

from analysis.excludes import check_patterns
from analysis.tripwire import Limits
from contracts.errors import UsageError
from contracts.options import Duration
from contracts.record import Record

Percent = Annotated[float, Meta(gt=0.0, le=100.0)]


class TripwireOptions(Record):
    """When a run looks as if files were encrypted, renamed or removed by an attacker; then nothing is removed until a person has looked.

    What a job does in all its runs raises the limits of `lost`, `sealed` and `changed` by itself.
    """

    enabled: Annotated[bool, Meta(description="Whether runs are measured and canaries are looked at.")] = True
    turned: Annotated[
        int,
        Meta(description="Files within `window` that were readable before and are not any more.", ge=1, le=1_000_000),
    ] = 10
    window: Annotated[Duration, Meta(description="How long such files are added up.", ge=86400.0)] = 30 * 86400.0
    lost: Annotated[Percent, Meta(description="Percent of the files that are gone at once, and not moved.")] = 50.0
    sealed: Annotated[
        Percent, Meta(description="The same, where something encrypted comes in their place, as an archive.")
    ] = 10.0
    renamed: Annotated[
        Percent, Meta(description="Percent of the files that get new content and an extension that is not usual.")
    ] = 5.0
    changed: Annotated[
        Percent,
        Meta(description="Percent of the files that change at once; half of it where most look like random bytes."),
    ] = 90.0
    shrink: Annotated[Percent, Meta(description="Percent of the usual size at which a snapshot is too small.")] = 50.0
    grow: Annotated[float, Meta(description="So many times the usual size is too much.", gt=1.0)] = 10.0
    least: Annotated[int, Meta(description="Fewer files than this make no percentage.", ge=1, le=1_000_000)] = 50
    ignore: Annotated[
        tuple[str, ...],
        Meta(
            description="Places that hold encrypted data by design, as patterns; their files are saved and not measured.",
            examples=[["/srv/other-backups"]],
        ),
    ] = ()

    def __post_init__(self) -> None:
        try:
            check_patterns(self.ignore)
        except UsageError as error:
            raise ValueError(f"ignore: {error}") from error

    def limits(self) -> Limits:
        """The same for the judgement."""
        return Limits(
            turned=self.turned,
            window_s=self.window,
            lost_share=self.lost / 100,
            sealed_share=self.sealed / 100,
            renamed_share=self.renamed / 100,
            changed_share=self.changed / 100,
            shrink=self.shrink / 100,
            grow=self.grow,
            least=self.least,
        )
