"""Settings of the block action."""

from typing import Annotated

from msgspec import Meta

from actions.block.address import check_never
from contracts.options import ActionOptions, Duration


class Options(ActionOptions):
    """Settings of the block action."""

    durations: Annotated[
        tuple[Duration, ...],
        Meta(
            description="How long a source is banned: the first time, the second, and so on; the last one stays.",
            min_length=1,
        ),
    ] = (600.0, 3600.0, 86400.0, 604800.0)
    forget_after: Annotated[
        Duration, Meta(description="A source that was not banned for so long begins with the first duration again.")
    ] = 30 * 86400.0
    shadow: Annotated[
        Duration,
        Meta(
            description="For so long after the first start, rules only record what they would have blocked; 0s: not at all."
            " What a person bans is banned at once."
        ),
    ] = 7 * 86400.0
    max_per_minute: Annotated[
        int, Meta(description="More bans by rules than this within a minute are not made, which is said.", ge=1)
    ] = 60
    reject: Annotated[
        bool, Meta(description="Answer packets of a banned source with a refusal instead of dropping them.")
    ] = False
    limit: Annotated[
        int,
        Meta(
            description="Packets per second that a source may send which offended without a completed handshake, so that it is not banned.",
            ge=1,
            le=100_000,
        ),
    ] = 10
    addresses_per_64: Annotated[
        int,
        Meta(description="So many addresses of one IPv6 /64 that offend within the window ban the whole /64.", ge=2),
    ] = 3
    window: Annotated[Duration, Meta(description="The time within which they offend.", ge=1.0)] = 600.0
    widest4: Annotated[
        int, Meta(description="No IPv4 network wider than this prefix length is ever banned.", ge=1, le=32)
    ] = 8
    widest6: Annotated[
        int, Meta(description="No IPv6 network wider than this prefix length is ever banned.", ge=1, le=128)
    ] = 16
    never: Annotated[
        dict[str, str],
        Meta(
            description="Addresses or networks that are never banned, with the reason: backup targets, package mirrors, monitoring."
            " What this host itself needs, and the console, is found without being listed.",
            examples=[{"192.0.2.10": "backup target", "198.51.100.0/24": "package mirror"}],
        ),
    ] = {}
    forgive_before: Annotated[
        Duration,
        Meta(
            description="An SSH session does not protect its peer from bans if a login from there failed within this time before it began."
        ),
    ] = 3600.0
    watch: Annotated[
        Duration, Meta(description="How long each ban is watched for packets that still get through.", ge=0.0, le=30.0)
    ] = 1.0

    def __post_init__(self) -> None:
        check_never(self.never)
