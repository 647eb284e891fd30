"""Any command whose output is kept: its exit status, its size and, where one is given, its end marker are checked."""

import re

from actions.backup.databases.end_marker import EndMarker
from actions.backup.databases.options import CommandOptions
from actions.backup.databases.pipe import Tool, piped
from actions.backup.databases.source import Dump, DumpFailed, Listing
from contracts.host import Host


class Command:
    """`Source` of one command."""

    product = "command"

    def __init__(self, options: CommandOptions) -> None:
        self.options = options

    @property
    def name(self) -> str:
        """What its options call it."""
        return self.options.name

    def dumps(self, host: Host) -> Listing:
        """One dump; DumpFailed for an end marker that is no regular expression."""
        options = self.options
        try:
            re.compile(options.end_marker.encode())
        except re.error as error:
            advice = "mend `end_marker`"
            raise DumpFailed(
                options.name, f"its end marker is no regular expression: {error}", advice=advice
            ) from error
        tool = Tool(options.argv, options.run_as, timeout_s=options.timeout)
        check = lambda: EndMarker(options.end_marker, min_size=options.min_size)  # noqa: E731
        return Listing([Dump(options.file.encode(), piped(host, tool, check, options.name))])
