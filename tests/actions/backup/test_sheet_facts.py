"""What the sheet says of a host: its packages, users, file systems and services; no secret; what cannot be seen is named."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from actions.backup.sheet_facts import host_facts
from contracts.errors import Unavailable, Why
from contracts.host import Completed
from host.linux import LinuxHost


class Root:
    """Files below a folder that stands for `/`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, path: str, max_bytes: int = 1 << 20) -> bytes:
        return self._at(path).read_bytes()[:max_bytes]

    def names(self, path: str) -> list[bytes]:
        return [each.name.encode() for each in self._at(path).iterdir()]

    def _at(self, path: str) -> Path:
        found = self._folder / path.lstrip("/")
        if not found.exists():
            raise Unavailable(Why.NOT_PRESENT, f"{path} is not there")
        return found


@pytest.fixture
def host(tmp_path: Path) -> Any:
    files = {
        "etc/passwd": "root:x:0:0:r:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n"
        "anna:x:1000:1000:Anna Smith,,,:/home/anna:/bin/zsh\n",
        "etc/fstab": "# c\nUUID=1 / ext4 defaults 0 1\n//user:hunter2@nas/share /mnt/nas cifs username=x,password=hunter2 0 0\n",
        "proc/self/mounts": "/dev/vda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n/dev/vdb /data xfs rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n",
        "var/lib/apt/extended_states": "Package: libfoo\nArchitecture: amd64\nAuto-Installed: 1\n\nPackage: vim\nAuto-Installed: 0\n",
        "etc/systemd/system/multi-user.target.wants/nginx.service": "",
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)

    def ask(*argv: str, **_: object) -> Completed:
        return Completed(argv=argv, code=0, stdout=b"vim\tinstall\nlibfoo:amd64\tinstall\nold\tdeinstall\n", stderr=b"")

    return SimpleNamespace(
        facts=LinuxHost().facts,
        files=Root(tmp_path),
        commands=SimpleNamespace(ask=ask, present=lambda tool: tool == "dpkg-query"),
        root=tmp_path,
    )


def test_packages_users_file_systems_and_services(host: Any) -> None:
    found = host_facts(host)
    assert found.packages == ["libfoo:amd64\tinstall", "old\tdeinstall", "vim\tinstall"]
    assert found.chosen_packages == ["vim"]
    assert [(user.name, user.uid) for user in found.users] == [("root", 0), ("anna", 1000)]
    assert [(mount.device, mount.place) for mount in found.mounts] == [
        ("UUID=1", "/"),
        ("//nas/share", "/mnt/nas"),
        ("/dev/vdb", "/data"),
    ]
    assert (found.services, found.missing) == (["nginx.service"], [])


def test_no_secret_and_no_full_name_is_taken(host: Any) -> None:
    assert "hunter2" not in repr(host_facts(host))
    assert "Smith" not in repr(host_facts(host))


def test_what_cannot_be_seen_is_named_and_the_rest_is_there(host: Any) -> None:
    (host.root / "etc/passwd").unlink()
    host.commands.present = lambda _: False
    found = host_facts(host)
    assert found.users == []
    assert [what.partition(":")[0] for what in found.missing] == ["the packages", "the users"]
    assert found.services == ["nginx.service"]


def test_the_real_host_is_seen() -> None:
    found = host_facts(LinuxHost())  # type: ignore[arg-type]
    assert found.missing == []
    assert any(line.startswith("restic\t") for line in found.packages)
    assert "restic" in found.chosen_packages or len(found.chosen_packages) > 5
    assert any(user.name == "root" for user in found.users)
    assert any(mount.place == "/" for mount in found.mounts)
