"""The settings of packages within those of integrity: where archives lie besides, and when maintenance is to be expected."""

from typing import Annotated

from msgspec import Meta

from contracts.maintenance import Window
from contracts.record import Record


class PackagesOptions(Record):
    """How what packages ship is learnt."""

    archives: Annotated[
        tuple[str, ...],
        Meta(
            description="Folders in which package archives lie besides apt's own, such as a mirror's pool or what was fetched anew. "
            "Only an archive that a signed index names proves anything, wherever it lies.",
            examples=[["/srv/mirror/archives"]],
        ),
    ] = ()
    maintenance: Annotated[
        tuple[Window, ...],
        Meta(
            description="When changes are expected: what changes then is told with the window's name. Nothing is left out."
        ),
    ] = ()
