"""Imported first by the agent's processes: msgspec without `typing_extensions`.

msgspec takes that module when it is installed (the console needs it) and does without it from Python 3.11 on; it costs every process of
the agent more than a megabyte, which nothing else here uses.
"""

import importlib
import sys

NAME = "typing_extensions"

if NAME not in sys.modules and "msgspec" not in sys.modules:
    sys.modules[NAME] = None  # type: ignore[assignment]  # makes an import of it fail (importlib, "Import system")
    try:
        importlib.import_module("msgspec")
    finally:
        del sys.modules[NAME]  # whoever really needs it gets it
