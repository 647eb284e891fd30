"""Private directories are gone after use, after an error, and at the next use after a kill; those of others are left alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from actions.backup.databases.private_folder import private_folder


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def age(path: Path) -> None:
    os.utime(path, (1, 1))


def killed_while_using(place: Path) -> Path:
    """What a process leaves that is killed within."""
    code = f"""
import sys; sys.path.insert(0, {os.getcwd()!r})
from actions.backup.databases.private_folder import private_folder
with private_folder({str(place)!r}, "x-") as folder:
    (folder / "secret").write_text("secret")
    print(folder, flush=True); sys.stdin.read()
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    folder = Path(process.stdout.readline().strip())
    assert (folder / "secret").exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return folder


def test_it_is_private_and_gone_afterwards(place: Path) -> None:
    with pytest.raises(RuntimeError), private_folder(str(place), "x-") as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "a" / "b").mkdir(parents=True)
        raise RuntimeError
    assert list(place.iterdir()) == []


def test_what_a_kill_left_is_removed_at_the_next_use(place: Path) -> None:
    left = killed_while_using(place)
    with private_folder(str(place), "x-"):
        assert left.exists(), "a young one may be another's that is not locked yet"
    age(left)
    with private_folder(str(place), "x-"):
        assert not left.exists()


def test_what_others_use_or_own_stays(place: Path) -> None:
    for name in ("y-other", "x-open", "x-foreign"):
        (place / name).mkdir(mode=0o700)
    (place / "x-open").chmod(0o755)
    os.chown(place / "x-foreign", 12345, -1)
    (place / "x-file").touch()
    (place / "target").mkdir(mode=0o700)
    (place / "x-link").symlink_to("target")
    with private_folder(str(place), "x-") as used:
        for one in place.iterdir():
            if not one.is_symlink():
                age(one)
        age(place / "target")
        with private_folder(str(place), "x-"):
            pass
        assert used.exists()
    assert {one.name for one in place.iterdir()} == {"y-other", "x-open", "x-foreign", "x-file", "target", "x-link"}


def test_it_can_be_given_to_a_user(place: Path) -> None:
    import pwd

    with private_folder(str(place), "x-", "nobody") as folder:
        assert folder.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    with pytest.raises(KeyError), private_folder(str(place), "x-", "no-such-user"):
        pass
    with pytest.raises(OSError, match="No such file"), private_folder(str(place / "none"), "x-"):
        pass
