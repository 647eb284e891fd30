"""Where ClamAV is and how it is configured: settings that the looking and the doing have in common."""

from typing import Annotated

from msgspec import Meta

from contracts.record import Record

CLAMD_CONFS = ("/etc/clamav/clamd.conf", "/etc/clamd.d/scan.conf", "/etc/clamd.conf")
FRESHCLAM_CONFS = ("/etc/clamav/freshclam.conf", "/etc/freshclam.conf")
DRILL = "/var/lib/holdfast/drill"
"""The folder into which the daily test file is written; it is watched like those that the settings name."""

_Path = Annotated[str, Meta(pattern="^(/.*)?$")]


class ClamavOptions(Record):
    """ClamAV on this host."""

    enabled: Annotated[bool, Meta(description="Whether ClamAV is looked at.")] = True
    clamd_conf: Annotated[_Path, Meta(description="clamd's configuration; empty: where the distributions have it.")] = (
        ""
    )
    freshclam_conf: Annotated[
        _Path, Meta(description="freshclam's configuration; empty: where the distributions have it.")
    ] = ""

    def clamd_confs(self) -> tuple[str, ...]:
        """Where clamd's configuration may be, in order."""
        return (self.clamd_conf,) if self.clamd_conf else CLAMD_CONFS

    def freshclam_confs(self) -> tuple[str, ...]:
        """Where freshclam's configuration may be, in order."""
        return (self.freshclam_conf,) if self.freshclam_conf else FRESHCLAM_CONFS
