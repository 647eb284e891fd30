"""The test file of a proof: written into a watched folder, and taken away again. Whether it was found is for the core to see."""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from actions.antivirus.clamav import Clamav
from actions.antivirus.kinds import PLANTED
from actions.antivirus.options import AntivirusOptions
from analysis.antivirus.kinds import DRILL_PREFIX, eicar
from contracts.action import Command, Progress, Result
from contracts.errors import HoldfastError, Unavailable, UsageError, Why
from contracts.event import Kind
from contracts.host import Host
from contracts.proof import Proof, Verb
from contracts.subjects.antivirus import SUBJECT

_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NotPlanted(HoldfastError):
    """The test file could not be written."""

    permanent = False


class AntivirusProve:
    """Plants the test file, or cleans up; the proof is complete when the console has the report."""

    name: ClassVar[str] = "antivirus_prove"
    kinds: ClassVar[tuple[Kind, ...]] = (PLANTED,)
    options: ClassVar[type[AntivirusOptions]] = AntivirusOptions
    arguments: ClassVar[Mapping[str, str]] = {
        "step": "str", "proof": "str", "detected_ms": "float", "reached_ms": "float", "told": "str",
    }  # fmt: skip
    """`step` is `plant`, or `clean` with the proof's id and, where it was found, after how many milliseconds it was and was reported."""
    capabilities: ClassVar[tuple[str, ...]] = ("CAP_DAC_OVERRIDE",)

    def __init__(self, options: AntivirusOptions) -> None:
        self._options = options

    def do(self, host: Host, command: Command, progress: Progress) -> Result:  # noqa: ARG002
        """Do the step; the answer to `plant` holds the proof's id as `proof`."""
        step = str(command.arguments.get("step", "") or "plant")
        if step not in ("plant", "clean"):
            raise UsageError(f'there is no step "{step}"', advice="name plant or clean")
        if step == "clean":
            return self._clean(host, command)
        try:
            Clamav(host, self._options.clamav).daemon()
        except Unavailable as error:
            if error.why is Why.NOT_PRESENT and command.who == "schedule":
                return Result(summary=f"{error.message}: there is nothing to prove", answer={"code": 69})
            raise
        return self._plant(host, command)

    def _plant(self, host: Host, command: Command) -> Result:
        options = self._options.proof
        if not _ID.fullmatch(command.id):
            raise UsageError("the command's id is no part of a file name")
        path = f"{options.folder}/{os.fsdecode(DRILL_PREFIX)}{command.id}"
        if command.dry_run:
            return Result(summary=f"would write a test file to {path}")
        try:
            Path(options.folder).mkdir(mode=0o755, exist_ok=True)
            folder = host.openings.folder(os.fsencode(options.folder))
        except OSError as error:
            raise _refused(options.folder, error) from error
        at_ms = round(host.now().timestamp() * 1000)
        try:
            _write(path.rpartition("/")[2], folder)
        except OSError as error:
            raise _refused(options.folder, error) from error
        finally:
            os.close(folder)
        event = PLANTED.event(
            path, observed_ms=at_ms, path=path, proof=command.id, within_s=options.within, valid_s=options.valid
        )
        return Result(summary=f"a test file is at {path}", events=(event,), answer={"proof": command.id, "code": 0})

    def _clean(self, host: Host, command: Command) -> Result:
        """Take away every test file in the folder, those of proofs that an end cut off, too; and state the proof."""
        removed = self._remove(host)
        detected_ms = command.arguments.get("detected_ms")
        if not isinstance(detected_ms, (int, float)):
            return Result(summary=f"{removed} test files removed")
        reached_ms = command.arguments.get("reached_ms")
        numbers = {"detected_ms": float(detected_ms)}
        if isinstance(reached_ms, (int, float)):
            numbers["reached_ms"] = float(reached_ms)
        proof = Proof(
            subject=SUBJECT,
            verb=Verb.REACHED if "reached_ms" in numbers else Verb.FIRED,
            at_ms=round(host.now().timestamp() * 1000),
            valid_s=round(self._options.proof.valid),
            numbers=numbers,
            detail="a test file was detected" + (", and the console has the report" if "reached_ms" in numbers else ""),
        )
        return Result(summary=f"{proof.detail} after {numbers['detected_ms']:.0f} ms", proof=proof)

    def _remove(self, host: Host) -> int:
        try:
            folder = host.openings.folder(os.fsencode(self._options.proof.folder))
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise _refused(self._options.proof.folder, error) from error
        removed = 0
        try:
            with os.scandir(folder) as listing:
                # A folder of that name is somebody else's, and would keep the others from being taken away.
                ours = [entry for entry in listing if os.fsencode(entry.name).startswith(DRILL_PREFIX)]
                names = [entry.name for entry in ours if not entry.is_dir(follow_symlinks=False)]
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # another antivirus was quicker
                    os.unlink(name, dir_fd=folder)
                    removed += 1
        except OSError as error:
            raise _refused(self._options.proof.folder, error) from error
        finally:
            os.close(folder)
        return removed


def _write(name: str, folder: int) -> None:
    """Write the test file, whole or not at all."""
    descriptor = os.open(name, _NEW, 0o644, dir_fd=folder)
    try:
        os.write(descriptor, eicar())
        os.fchmod(descriptor, 0o644)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(descriptor)


def _refused(folder: str, error: OSError) -> NotPlanted:
    said = (error.strerror or str(error)).lower()
    return NotPlanted(f"{folder}: {said}", advice="name a folder that can be written in antivirus.proof.folder")
