"""Which desk a machine has."""

from pathlib import Path

from collectors.integrity.packages.desk import PackageDesk
from collectors.integrity.packages.desks import desk_of
from collectors.integrity.packages.rpm_desk import RpmDesk
from host.linux import LinuxHost


def _kind(place: Path) -> type:
    desk = desk_of(LinuxHost(), place)
    desk.close()
    return type(desk)


def test_dpkg_comes_first_then_rpm_and_without_both_dpkg_says_that_there_is_none(rpms, tmp_path: Path) -> None:
    assert _kind(tmp_path / "state") is PackageDesk
    rpms.rpm("--initdb")
    assert _kind(tmp_path / "state") is RpmDesk
    (rpms.folder / "dpkg").mkdir()
    (rpms.folder / "dpkg/status").touch()
    assert _kind(tmp_path / "state") is PackageDesk, "Debian, too, has a package of rpm"
