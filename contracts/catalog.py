"""How a plug-in is listed: by name, so that nothing is imported before it is needed."""

import importlib
from typing import Any

from contracts.record import Record


class Entry(Record):
    """One line of a catalog: `target` is `module:Class`; `worker` the process that hosts it ("core" for judges).

    Actions that share their settings name the `section` at the top of the configuration that holds them. One that works on what a
    collector keeps names its `subject`: it is there only while that is looked at.
    """

    name: str
    target: str
    worker: str
    section: str = ""
    subject: str = ""


def load(entry: Entry) -> Any:
    """Import and return the class behind `entry`."""
    module, _, name = entry.target.partition(":")
    return getattr(importlib.import_module(module), name)
