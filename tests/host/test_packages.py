"""Package names are kept until the database changes."""

from collections.abc import Mapping, Sequence

import pytest

from contracts.errors import Unavailable, Why
from contracts.host import Completed
from host.packages import LinuxPackages, Rpm, detect


class Counted:
    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.number = 1

    def version(self) -> int:
        return self.number

    def owners(self, paths: Sequence[bytes]) -> Mapping[bytes, str]:
        self.asked += paths
        return {b"/caf\xe9": "coffee"}


class Tools:
    def __init__(self, *present: str) -> None:
        self._present = present

    def present(self, tool: str) -> bool:
        return tool in self._present

    def ask(self, *argv: str, timeout_s: float = 30.0, max_bytes: int = 1) -> Completed:
        owned = argv[-1] == "/usr/bin/rpm"
        return Completed(argv=argv, code=0 if owned else 1, stdout=b"rpm\n" if owned else b"not owned\n", stderr=b"")


def test_a_path_is_asked_once_until_something_is_installed() -> None:
    database = Counted()
    packages = LinuxPackages(Tools(), database)
    assert packages.owner("/caf\\xe9") == "coffee"
    assert packages.owners(["/caf\\xe9", "/other"]) == {"/caf\\xe9": "coffee", "/other": ""}
    packages.owner("/other")
    assert database.asked == [b"/caf\xe9", b"/other"]
    database.number = 2
    packages.owner("/other")
    assert database.asked[2:] == [b"/other"]


def test_rpm_is_asked_by_its_own_tool(tmp_path: object) -> None:
    rpm = Rpm(Tools("rpm"), str(tmp_path))
    assert rpm.owners([b"/usr/bin/rpm", b"/usr/local/x"]) == {b"/usr/bin/rpm": "rpm"}
    assert rpm.version() == 0


@pytest.mark.parametrize(
    ("tools", "why"), [((), Why.NOT_PRESENT), (("dpkg-query",), Why.PERMISSION), (("rpm",), Why.PERMISSION)]
)
def test_a_hidden_database_is_told_from_none(tools: tuple[str, ...], why: Why, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("host.packages._is_folder", lambda path: False)
    with pytest.raises(Unavailable) as caught:
        detect(Tools(*tools))
    assert caught.value.why is why


def test_this_machine_has_one() -> None:
    assert LinuxPackages(Tools()).owner("/usr/bin/ls") == "coreutils"
