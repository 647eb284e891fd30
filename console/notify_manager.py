"""Tell the service manager that the console is ready (`sd_notify(3)`); says nothing where there is none."""

import os
import socket
from collections.abc import Mapping


def tell_manager(message: str, environ: Mapping[str, str] = os.environ) -> None:
    """Send `message` (`READY=1`, `STOPPING=1`) to `$NOTIFY_SOCKET`."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    target = f"\0{address[1:]}" if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
        try:
            manager.sendto(message.encode(), target)
        except OSError:
            return  # a manager that is restarting itself asks again by its own means
