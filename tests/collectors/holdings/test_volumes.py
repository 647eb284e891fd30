"""Volumes of every engine, and the folders that docker mounts into containers."""

import json
from pathlib import Path

from collectors.holdings.reading import Reading
from collectors.holdings.volumes import look
from host.fake import FakeHost


def test_volumes_and_bound_folders_are_found_where_each_engine_keeps_them(tmp_path: Path) -> None:
    for folder in (
        "srv/docker/volumes/shop_db/_data",
        "var/lib/containers/storage/volumes/wiki/_data",
        "home/ada/.local/share/containers/storage/volumes/own/_data",
        "var/lib/machines/debian/etc",
        "var/lib/nerdctl/1935db59/volumes/default/cache/_data",
        "var/lib/lxc/web/rootfs",
        "srv/docker/containers/0123456789abcdef",
    ):
        (tmp_path / "files" / folder).mkdir(parents=True)
    (tmp_path / "files/var/lib/libvirt/images").mkdir(parents=True)
    (tmp_path / "files/var/lib/libvirt/images/vm.qcow2").write_text("x")
    (tmp_path / "files/etc/docker").mkdir(parents=True)
    (tmp_path / "files/etc/docker/daemon.json").write_text('{"data-root": "/srv/docker"}')
    points = {
        "/data": {"Type": "bind", "Source": "/srv/shop"},
        "/sock": {"Type": "bind", "Source": "/var/run/docker.sock"},
        "/v": {"Type": "volume", "Source": ""},
    }
    config = tmp_path / "files/srv/docker/containers/0123456789abcdef/config.v2.json"
    config.write_text(json.dumps({"Name": "/shop", "MountPoints": points, "Other": 1}))
    found = {row.path: row for row in look(Reading(FakeHost(tmp_path), "volumes"))}
    assert set(found) == {
        "/srv/docker/volumes/shop_db",
        "/var/lib/containers/storage/volumes/wiki",
        "/home/ada/.local/share/containers/storage/volumes/own",
        "/var/lib/machines/debian",
        "/var/lib/nerdctl/1935db59/volumes/default/cache",
        "/var/lib/lxc/web",
        "/var/lib/libvirt/images/vm.qcow2",
        "/srv/shop",
    }
    assert found["/srv/shop"].detail == "mounted into shop"


def test_settings_of_docker_that_do_not_read_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "files/etc/docker").mkdir(parents=True)
    (tmp_path / "files/etc/docker/daemon.json").write_text("[]")
    (tmp_path / "files/var/lib/docker/volumes/a/_data").mkdir(parents=True)
    assert [row.path for row in look(Reading(FakeHost(tmp_path), "volumes"))] == ["/var/lib/docker/volumes/a"]
