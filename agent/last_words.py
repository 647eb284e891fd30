"""The last words of a forked process: a defect's traceback, written to descriptor 2 whatever `sys.stderr` was before the fork."""

import os
import traceback


def last_words(who: str) -> None:
    """Write the exception at hand. A fork's `sys.stderr` may be an object whose descriptor is closed, or by now somebody else's."""
    try:
        os.write(2, f"{who} ends by a defect:\n{traceback.format_exc()}".encode(errors="backslashreplace"))
    except OSError:  # nobody listens
        return
