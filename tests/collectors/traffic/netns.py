"""A network namespace of a thread's own, with a veth pair."""

import ctypes
import subprocess
import threading
from collections.abc import Callable

_CLONE_NEWNET = 0x40000000


def ip(*words: str) -> None:
    """Run ip(8) where this thread is."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def alone(function: Callable[[], None]) -> None:
    """Run a function in a namespace with a veth pair, hfa and hfb, both up, which goes with it; raises what the function raises."""
    raised: list[BaseException] = []

    def body() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            ip("link", "add", "hfa", "type", "veth", "peer", "name", "hfb")
            for name in ("lo", "hfa", "hfb"):
                ip("link", "set", name, "up")
            function()
        except BaseException as error:  # noqa: BLE001 (carried over to the test's own thread)
            raised.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
