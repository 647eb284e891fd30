"""Seeded random deeds on a tree of files: what programs, people and attackers do, in bursts, with names of every kind."""

import os
import random
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

NAMES = [b"a", b"b", b"c.txt", b"new\nline", b"\xff\xfe", b"-rf", b" ", b"x" * 200, b"d", b"e.conf", b"0", "é".encode()]


class Deeds:
    """Does one random thing after the other below `root`, of all kinds but those `left_out`; the same seed does the same."""

    def __init__(self, root: Path, seed: int, depth: int = 5, left_out: Collection[str] = ()) -> None:
        self.root = os.fsencode(root)
        self._random = random.Random(seed)
        self._depth = depth
        self._weighted: list[tuple[Callable[[], None], int]] = [
            (self.write, 30),
            (self.append, 10),
            (self.delete, 8),
            (self.rename, 15),
            (self.make_folder, 10),
            (self.delete_tree, 1),
            (self.move_folder, 5),
            (self.chmod, 6),
            (self.chown, 3),
            (self.link, 4),
            (self.hard_link, 3),
            (self.replace, 8),
            (self.set_time, 3),
            (self.pipe, 1),
            (self.swap_folders, 1),
            (self.storm, 1),
        ]
        self._choices = [
            deed for deed, weight in self._weighted if deed.__name__ not in left_out for _ in range(weight)
        ]

    def do(self, count: int, pause: Callable[[], None] = lambda: None) -> None:
        """Do so many things; what is not possible as things stand is passed over."""
        for number in range(count):
            try:
                self._random.choice(self._choices)()
            except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, OSError):
                pass
            if number % 500 == 499:
                pause()

    def _folder(self) -> bytes:
        at = self.root
        for _ in range(self._random.randrange(self._depth)):
            with os.scandir(at) as found:
                below = sorted(entry.path for entry in found if entry.is_dir(follow_symlinks=False))
            if not below:
                break
            at = self._random.choice(below)
        return at

    def _new(self) -> bytes:
        return self._folder() + b"/" + self._random.choice(NAMES)

    def _some(self, folders: bool = False) -> bytes:
        for _ in range(4):
            with os.scandir(self._folder()) as found:
                names = sorted(
                    entry.path
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) == folders
                    and (folders or entry.is_file(follow_symlinks=False))
                )
            if names:
                return self._random.choice(names)
        raise FileNotFoundError

    def write(self) -> None:
        path = self._new()
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOFOLLOW, 0o644), "wb"
        ) as file:
            file.write(self._random.randbytes(self._random.randrange(200)))

    def append(self) -> None:
        with open(self._some(), "ab") as file:
            file.write(self._random.randbytes(20))

    def delete(self) -> None:
        os.unlink(self._some())

    def rename(self) -> None:
        os.rename(self._some(), self._new())

    def make_folder(self) -> None:
        os.mkdir(self._new())

    def delete_tree(self) -> None:
        shutil.rmtree(self._some(folders=True))

    def move_folder(self) -> None:
        os.rename(self._some(folders=True), self._new())

    def swap_folders(self) -> None:
        one, two = self._some(folders=True), self._some(folders=True)
        between = self.root + b"/between"
        os.rename(one, between)
        try:
            os.rename(two, one)
            os.rename(between, two)
        except OSError:
            os.rename(between, one)

    def chmod(self) -> None:
        os.chmod(self._some(self._random.random() < 0.2), self._random.choice([0o600, 0o644, 0o755, 0o4755, 0o700]))

    def chown(self) -> None:
        os.chown(self._some(), self._random.randrange(3), self._random.randrange(3))

    def link(self) -> None:
        os.symlink(self._random.choice([b"a", b"/etc", b"..", b"nowhere"]), self._new())

    def hard_link(self) -> None:
        os.link(self._some(), self._new())

    def replace(self) -> None:
        path = self._some()
        with open(path + b".tmp", "wb") as file:
            file.write(self._random.randbytes(30))
        os.replace(path + b".tmp", path)

    def set_time(self) -> None:
        os.utime(self._some(), ns=(1, self._random.randrange(10**18)))

    def pipe(self) -> None:
        os.mkfifo(self._new())

    def storm(self) -> None:
        """Rename one file a hundred times."""
        path = self._some()
        for number in range(100):
            other = path.rpartition(b"/")[0] + b"/storm%d" % (number % 7)
            os.rename(path, other)
            path = other
