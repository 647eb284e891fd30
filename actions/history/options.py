"""The settings of the history of configuration."""

from typing import Annotated

from msgspec import Meta

from contracts.options import ActionOptions, Clock, Duration, Secret, Size


class HistoryOptions(ActionOptions):
    """Versions of configuration, kept encrypted on this machine, to look at and to put back."""

    enabled: Annotated[bool, Meta(description="Whether versions are kept and may be put back.")] = False
    paths: Annotated[
        tuple[str, ...], Meta(description="Files and folders (with all below them) whose versions are kept.")
    ] = ("/etc", "/var/spool/cron", "/root/.ssh/authorized_keys")
    exclude: Annotated[
        tuple[str, ...], Meta(description="What is passed over, in the patterns of backup excludes.")
    ] = ("/etc/ssl/certs", "/etc/alternatives", "*.swp", "*~")
    hidden: Annotated[
        tuple[str, ...],
        Meta(description="Files that can be put back, but whose content is never shown: secrets. Patterns as above."),
    ] = ("*shadow*", "*.key", "*.pem", "/etc/ssh/ssh_host_*_key", "*secret*", "*password*", "*credential*", "*token*")
    file_below: Annotated[Size, Meta(description="Larger files are not kept.")] = 1 << 20
    versions: Annotated[int, Meta(description="How many versions of a file are kept.", ge=2, le=1000)] = 30
    total: Annotated[Size, Meta(description="How much room all versions may take; the oldest go first.")] = 256 << 20
    at: Annotated[
        Clock, Meta(description="Local time of day at which all are looked at; what integrity tells is kept at once.")
    ] = "03:20"
    splay: Annotated[
        Duration,
        Meta(description="A host begins up to this much later, always by the same amount.", ge=0.0, le=43200.0),
    ] = 1800.0
    key: Annotated[
        Secret,
        Meta(
            description="The key that versions are encrypted with (32 bytes, or 64 hex digits). Without it one is made and kept beside "
            "them, which keeps them from whoever has only a copy of the versions, not from root."
        ),
    ] = ""
