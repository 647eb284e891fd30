"""Canaries: files among a person's own that nobody has a reason to touch; one that is changed or gone is enough for a suspicion."""

import hashlib
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from actions.backup.tripwire.book import Canary
from contracts.errors import Unavailable, UsageError, Why
from contracts.host import Files

MAX_BYTES = 1 << 20
NAMES = ("_Accounts {year}.csv", "Invoices {year}.csv", "zz_Passwords {year}.txt")
"""The first and the last in their directory, where who goes through it in order begins or ends."""

_YOUNGEST_S = 9 * 86_400
_WORDS = "Berlin Porto Kyoto Lagos Quito Hanoi Oslo Turin Cairo Lima Dakar Perth Zagreb Izmir Cork Basel".split()  # noqa: SIM905


class Broken(NamedTuple):
    """A canary that is not as it was: what happened to it."""

    canary: Canary
    what: str


class Checked(NamedTuple):
    """What a look at the canaries gave; `unseen` could not be looked at, with the reason."""

    broken: tuple[Broken, ...]
    unseen: tuple[Broken, ...]


def check(files: Files, canaries: Sequence[Canary], seen: dict[str, str]) -> Checked:
    """Look at each. `seen` says where the content of one came up under another name, by its sum."""
    broken, unseen = [], []
    for canary in canaries:
        try:
            found = hashlib.sha256(files.read(canary.path, MAX_BYTES)).hexdigest()
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT:
                elsewhere = seen.get(canary.sha256)
                broken.append(Broken(canary, f"was renamed to {elsewhere}" if elsewhere else "is gone"))
            elif error.why is Why.TOO_LARGE:
                broken.append(Broken(canary, "is changed"))
            else:
                unseen.append(Broken(canary, error.message))
            continue
        if found != canary.sha256:
            broken.append(Broken(canary, "is changed"))
    return Checked(tuple(broken), tuple(unseen))


def plant(folder: str) -> list[str]:
    """Write canaries into a directory as its owner's files, and return their paths; UsageError where they cannot be.

    They belong to the directory's owner, so that who acts in his name can change them, too.
    """
    place = Path(folder)
    try:
        status = place.stat()
    except OSError as error:
        raise UsageError(f"{folder}: {(error.strerror or str(error)).lower()}", advice="name a directory") from error
    if not place.is_dir():
        raise UsageError(f"{folder} is no directory", advice="name a directory whose files are worth the most")
    made: list[str] = []
    year, dice = time.localtime().tm_year, random.SystemRandom()
    for number, name in enumerate(NAMES):
        path = place / name.format(year=year - number)
        try:
            _write(path, _content(dice), status, year - number)
        except BaseException:
            for former in made:
                Path(former).unlink(missing_ok=True)
            raise
        made.append(str(path))
    return made


def _write(path: Path, content: bytes, folder: os.stat_result, year: int) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o640)
    except FileExistsError:
        raise UsageError(f"{path} is there already", advice="remove it, or choose another directory") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", advice="run it as root") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if os.geteuid() == 0:
            os.fchown(descriptor, folder.st_uid, folder.st_gid)
        # Of that year's March; in the first months of a year that is to come, and a file from the future gives itself away.
        moment = min((year - 1970) * 31_556_952 + 7_000_000, time.time() - _YOUNGEST_S)
        os.utime(descriptor, (moment, moment))
        os.fsync(descriptor)


def _content(dice: random.SystemRandom) -> bytes:
    """A table that looks like somebody's accounts, and is another one each time."""
    lines = ["Number;Date;Customer;City;Net;Gross"]
    for number in range(dice.randrange(120, 200)):
        net = dice.randrange(1000, 999_999) / 100
        day = f"{dice.randrange(1, 29):02d}.{dice.randrange(1, 13):02d}."
        customer = f"{dice.randrange(10_000, 99_999)}-{dice.getrandbits(32):08X}"
        lines.append(f"{2000 + number};{day};{customer};{dice.choice(_WORDS)};{net:.2f};{net * 1.19:.2f}")
    return ("\r\n".join(lines) + "\r\n").encode()
