"""What the actions of this room share while their process lives: what is saved, how many bans a minute saw, and who waits for whom."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from actions.block import hook
from actions.block import saved as store
from actions.block.hook import Hook
from actions.block.interlocks import Interlocks
from actions.block.saved import Saved
from contracts.errors import Unavailable
from contracts.host import Host

MINUTE_S = 60.0
MAX_WATCHING = 4
"""So many bans are watched at a time; a further one ends the watch of the oldest, so that no command ever waits for a watch."""


class Memory:
    """Of one state folder. Whoever changes something holds `lock` from its decision until it is in the kernel and saved."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lock = threading.RLock()
        self.interlocks = Interlocks()
        self._saved: Saved | None = None
        self._stamp: tuple[int, int] | None = None
        self._is_dirty = False
        self._writing = threading.Lock()
        self._looked: tuple[int, Hook] | None = None
        self._commits = 0
        self._bans: deque[float] = deque()
        self._told_s = -MINUTE_S
        self._watches: deque[threading.Event] = deque()

    def saved(self, host: Host) -> Saved:
        """Return what is saved, read again when somebody else wrote the file; raises `Unavailable`."""
        stamp = self._stamp_of(host)
        if not self._is_dirty and (self._saved is None or stamp != self._stamp):
            self._saved = store.read(host, self.folder) if self.folder else (self._saved or Saved())
            self._stamp = stamp
        assert self._saved is not None
        return self._saved

    def save(self, host: Host, saved: Saved) -> None:
        """Keep `saved`, with `lock` held; it is on disk after the next `flush`. Under dry run nothing is kept."""
        if not host.dry:
            self._saved, self._is_dirty = saved, True

    def flush(self, host: Host) -> None:
        """Write what was saved, without `lock`: nobody waits for the disk to be banned, and bans that come together are one write."""
        with self._writing:
            with self.lock:
                saved, is_dirty, self._is_dirty = self._saved, self._is_dirty, False
            if saved is None or not is_dirty:
                return
            try:
                store.write(host, self.folder, saved)
            except Unavailable:
                self._is_dirty = True
                raise
            with self.lock:
                self._stamp = self._stamp_of(host)

    def unsaved(self, host: Host) -> list[str]:
        """Write what was saved; return what has to be said of that: what the kernel holds is told, also where the disk is full."""
        try:
            self.flush(host)
        except Unavailable as error:
            return [f"it is not saved and would not survive a reboot ({error.message})"]
        return []

    def committed(self) -> None:
        """Note that this process changed our table by one transaction."""
        self._commits += 1

    def hook(self, host: Host) -> Hook:
        """Return what is wrong with our table, read anew unless nobody else has changed the ruleset meanwhile; raises `Unavailable`."""
        with self.lock:
            generation = host.nftables.generation()
            if self._looked is None or generation - self._looked[0] != self._commits or self._looked[1].missing:
                self._commits = 0
                self._looked = (generation, hook.look(host))
            return self._looked[1]

    def may_ban(self, now_s: float, most: int) -> bool:
        """Count one more ban by a rule, if the minute has room for it."""
        while self._bans and self._bans[0] <= now_s - MINUTE_S:
            self._bans.popleft()
        if len(self._bans) >= most:
            return False
        self._bans.append(now_s)
        return True

    def may_tell(self, now_s: float) -> bool:
        """Whether to say that the cap is reached: once per minute."""
        if now_s - self._told_s < MINUTE_S:
            return False
        self._told_s = now_s
        return True

    @contextmanager
    def watch(self) -> Iterator[threading.Event]:
        """Give an event that is set when this watch has to end early."""
        enough = threading.Event()
        with self.lock:
            self._watches.append(enough)
            while len(self._watches) > MAX_WATCHING:
                self._watches.popleft().set()
        try:
            yield enough
        finally:
            with self.lock:
                if enough in self._watches:
                    self._watches.remove(enough)

    def _stamp_of(self, host: Host) -> tuple[int, int] | None:
        if not self.folder:
            return None
        try:
            found = host.files.stat(f"{self.folder}/{store.FILE}")
        except Unavailable:
            return None
        return found.inode, found.mtime_ns


_memories: dict[str, Memory] = {}
_making = threading.Lock()


def of(host: Host) -> Memory:
    """Return the memory that belongs to the host's state folder."""
    with _making:
        return _memories.setdefault(host.state, Memory(host.state))
