"""The settings of the antivirus collector and its watcher."""

import re
from typing import Annotated

from msgspec import Meta

from contracts.clamav_options import DRILL, ClamavOptions
from contracts.options import CollectorOptions, Duration, Size
from contracts.record import Record

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_Path = Annotated[str, Meta(pattern="^/")]


class ProductOptions(Record):
    """A product that Holdfast does not know: how old its signatures are is read off a command's answer or a file."""

    command: Annotated[
        tuple[str, ...],
        Meta(
            description="A command line whose answer says it; it runs without rights.",
            examples=[["/opt/av/bin/av", "-v"]],
        ),
    ] = ()
    file: Annotated[str, Meta(description="Or a file that says it; without a pattern its last change counts.")] = ""
    pattern: Annotated[
        str, Meta(description="A regular expression whose first group is the time at which the signatures were made.")
    ] = ""
    time: Annotated[
        str,
        Meta(description="How that time is written: unix, iso, or as strptime(3) has it.", examples=["%d %b %Y %H:%M"]),
    ] = "iso"

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.file):
            raise ValueError("command: give either a command or a file")
        if self.command and not (self.command[0].startswith("/") and self.pattern):
            raise ValueError("command: give an absolute path, and a pattern for what it answers")
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise ValueError(f"pattern: {error}") from error
        if self.pattern and not groups:
            raise ValueError("pattern: put the time into a group, in parentheses")


class Options(CollectorOptions):
    """Antivirus: ClamAV, Microsoft Defender and products of your own, and folders whose changes are scanned at once."""

    every: Annotated[
        Duration, Meta(description="Time between two looks at products and their signatures.", ge=10.0)
    ] = 300.0
    warn_after: Annotated[Duration, Meta(description="Age of signatures that is a warning.", ge=3600.0)] = 86400.0
    critical_after: Annotated[Duration, Meta(description="Age that is critical.", ge=3600.0)] = 259200.0
    clamav: ClamavOptions = ClamavOptions()
    defender: Annotated[bool, Meta(description="Whether Microsoft Defender is looked at, where it is installed.")] = (
        True
    )
    products: Annotated[
        dict[str, ProductOptions],
        Meta(description="Other products by name.", examples=[{"other": {"file": "/opt/av/signatures.db"}}]),
    ] = {}
    watch: Annotated[
        tuple[_Path, ...],
        Meta(
            description="Folders in which every new or changed file is scanned at once: uploads, web roots.",
            examples=[["/var/www", "/srv/uploads"]],
        ),
    ] = ("/var/www",)
    watch_excludes: Annotated[tuple[_Path, ...], Meta(description="Folders below them that are left out.")] = ()
    watch_again: Annotated[
        Duration, Meta(description="How often watched folders are gone through for what no notice told.", ge=10.0)
    ] = 900.0
    largest: Annotated[
        Size, Meta(description="Files over this size are not scanned as they change, and counted.", ge=1 << 10)
    ] = 256 << 20
    drill: Annotated[
        str, Meta(description="Folder for the daily test file, watched as well; empty: none.", pattern="^(/.*)?$")
    ] = DRILL

    def __post_init__(self) -> None:
        if self.critical_after < self.warn_after:
            raise ValueError("critical_after: give at least warn_after")
        for name in self.products:
            if not _NAME.fullmatch(name) or name in ("clamav", "defender"):
                raise ValueError(
                    f'products: "{name}" cannot name a product; write up to 40 small letters, digits, - and _'
                )
