"""Settings, scheduled work, units, homes, sites and the data of programs; what packages make anew is passed over."""

from pathlib import Path

from collectors.holdings.places import look
from collectors.holdings.reading import Reading
from host.fake import FakeHost

FILES = (
    "etc/fstab",
    "etc/systemd/system/shop.service",
    "var/spool/cron/crontabs/ada",
    "usr/local/bin/tool",
    "var/lib/dpkg/status",
    "root/.profile",
    "home/ada/letter",
    "home/old/left-over",
    "opt/app/program",
    "srv/loose-file",
    "srv/shop/data",
    "var/www/html/index.html",
    "var/lib/gitea/app.ini",
    "var/lib/apt/extended_states",
    "var/lib/mysql/ibdata1",
    "data/bob/x",
)


def test_every_place_that_holds_something_is_named(tmp_path: Path) -> None:
    for name in FILES:
        path = tmp_path / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / "files/usr/local/share/man").mkdir(parents=True)
    (tmp_path / "files/home/nobody-yet").mkdir()
    passwd = "root:x:0:0::/root:/bin/sh\nbob:x:1001:1001::/data/bob:/bin/sh\nwww:x:33:33::/var/www:/x\nbroken\n"
    (tmp_path / "files/etc/passwd").write_text(passwd)
    found = {(row.kind, row.path) for row in look(Reading(FakeHost(tmp_path), "places"))}
    assert found == {
        ("settings", "/etc"),
        ("units", "/etc/systemd/system"),
        ("scheduled", "/var/spool/cron/crontabs"),
        ("settings", "/usr/local/bin"),
        ("packages", "/var/lib/dpkg/status"),
        ("home", "/root"),
        ("home", "/home/ada"),
        ("home", "/home/old"),
        ("home", "/data/bob"),
        ("data", "/opt/app"),
        ("data", "/srv"),
        ("data", "/srv/shop"),
        ("data", "/var/www/html"),
        ("data", "/var/lib/gitea"),
    }
