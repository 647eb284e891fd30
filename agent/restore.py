"""Brings firewall policy and bans back at boot, before the network is up: `python -m agent.restore [FOLDER]`.

Run by holdfast-firewall.service. Needs no agent: the saved files, nft and CAP_NET_ADMIN. Each file is one transaction of its own; what it
did, or why not, goes to standard error and so to the journal. It is bounded in time and never holds up the boot. Exit code 1 when something
that was saved is not in place.
"""

import os
import sys
from collections.abc import Callable

from agent import wiring
from contracts.errors import HoldfastError, Unavailable, Why
from contracts.host import Host

TIMEOUT_S = 20.0
_MAX_BYTES = 128 << 20


def main() -> int:
    """Restore everything that was saved."""
    folder = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if not folder:
        say("no folder is named, neither by an argument nor in STATE_DIRECTORY")
        return 2
    host = wiring.host()
    return int(not all([restore(host, folder, *what) for what in wiring.restorers()]))


def restore(host: Host, folder: str, file: str, beside: str, script: Callable[[bytes, int, bytes], str]) -> bool:
    """Bring back what `file` holds, and what `beside` does; say what came of it, and return whether nothing is missing.

    What is wrong with the second never keeps the first away.
    """
    try:
        saved = _read(host, f"{folder}/{file}")
        if saved is None:
            say(f"{file}: nothing was saved")
            return True
    except Unavailable as error:
        say(f"{file}: {error}")
        return False
    try:
        more = (_read(host, f"{folder}/{beside}") if beside else None) or b""
    except Unavailable as error:
        say(f"{beside}: {error}")
        _load(host, file, lambda now_ms: script(saved, now_ms, b""))
        return False
    if _load(host, f"{file} and {beside}" if more else file, lambda now_ms: script(saved, now_ms, more)):
        return True
    if more:
        _load(host, file, lambda now_ms: script(saved, now_ms, b""))
    return False


def _read(host: Host, path: str) -> bytes | None:
    """Return the file's content, None when there is no such file."""
    try:
        return host.files.read(path, _MAX_BYTES)
    except Unavailable as error:
        if error.why is Why.NOT_PRESENT:
            return None
        raise


def _load(host: Host, what: str, script: Callable[[int], str]) -> bool:
    """Load one transaction; say what came of it."""
    try:
        text = script(round(host.now().timestamp() * 1000))
        if not text:
            say(f"{what}: nothing to bring back")
            return True
        done = host.change("nft", "-f", "-", stdin=text.encode(), timeout_s=TIMEOUT_S)
    except (HoldfastError, ValueError) as error:
        say(f"{what}: not restored: {error}")
        return False
    except Exception as error:  # noqa: BLE001  # a defect in one part: the others still have their turn, and the boot goes on
        say(f"{what}: not restored, by a defect: {type(error).__name__}: {error}")
        return False
    if done.code != 0:
        lines = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip(" ^~\t")]
        say(f"{what}: nft refused it: {'; '.join(lines)[:1000]}")
        return False
    say(f"{what}: in place")
    return True


def say(line: str) -> None:
    """Write one line for the journal."""
    sys.stderr.write(f"holdfast restore: {line}\n")


if __name__ == "__main__":
    sys.exit(main())
