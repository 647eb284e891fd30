"""dpkg's lists, its merged folders and its diversions; compared with dpkg-query itself."""

import subprocess
from pathlib import Path

import pytest

from contracts.errors import Unavailable, Why
from host.dpkg import Dpkg


@pytest.fixture
def database(tmp_path: Path) -> Path:
    info = tmp_path / "info"
    info.mkdir()
    (info / "coreutils.list").write_text("/.\n/bin\n/bin/ls\n/usr/bin/env\n")
    (info / "libc6:amd64.list").write_text("/.\n/lib/x86_64-linux-gnu/libc.so.6\n")
    (info / "dash.list").write_text("/bin/sh\n")
    (info / "bash.list").write_text("/bin/sh\n/bin/bash\n")
    (tmp_path / "diversions").write_text("/bin/sh\n/bin/sh.distrib\ndash\n/usr/bin/env\n/usr/bin/env.real\n:\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("/bin/ls", "coreutils"),
        ("/usr/bin/ls", "coreutils"),
        ("/usr/lib/x86_64-linux-gnu/libc.so.6", "libc6"),
        ("/bin/bash", "bash"),
        ("/bin/sh", "dash"),
        ("/bin/sh.distrib", "bash"),
        ("/usr/bin/env.real", "coreutils"),
        ("/usr/bin/env", None),
        ("/usr/local/bin/ls", None),
        ("/usr/bin/l", None),
    ],
)
def test_a_file_has_its_owner(database: Path, path: str, package: str | None) -> None:
    assert Dpkg(str(database)).owners([path.encode()]).get(path.encode()) == package


def test_the_real_database_answers_like_dpkg_query() -> None:
    paths = ["/usr/bin/ls", "/bin/sh", "/usr/bin/python3.11", "/usr/sbin/nft", "/usr/bin/ss"]
    found = Dpkg().owners([path.encode() for path in paths])
    for path in paths:
        asked = [path, path.removeprefix("/usr") if path.startswith("/usr") else f"/usr{path}"]
        told = subprocess.run(["dpkg-query", "-S", *asked], capture_output=True, text=True, check=False).stdout
        owners = {line.partition(":")[0] for line in told.splitlines() if not line.startswith("diversion")}
        assert found[path.encode()] in owners


def test_an_empty_database_is_a_failure_to_look(tmp_path: Path) -> None:
    (tmp_path / "info").mkdir()
    with pytest.raises(Unavailable) as caught:
        Dpkg(str(tmp_path)).owners([b"/bin/ls"])
    assert caught.value.why is Why.PERMISSION


def test_a_missing_one_too(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Dpkg(str(tmp_path)).version()
