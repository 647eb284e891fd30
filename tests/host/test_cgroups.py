"""Units and containers by the paths that systemd and the engines make."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.cgroups import Membership, parse

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "unit", "container"),
    [
        ("0::/system.slice/ssh.service", "ssh.service", ""),
        ("0::/init.scope", "init.scope", ""),
        ("0::/", "", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope", "user@1000.service", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope", ""),
        ("0::/system.slice/system-postgresql.slice/postgresql@15-main.service", "postgresql@15-main.service", ""),
        ("0::/system.slice/dev-disk\\x2da.swap", "dev-disk\\x2da.swap", ""),
        ("12:cpu:/\n1:name=systemd:/system.slice/cron.service\n0::/", "cron.service", ""),
        (f"0::/system.slice/docker-{ID}.scope", f"docker-{ID}.scope", "docker:0123456789ab"),
        (f"4:memory:/docker/{ID}\n1:name=systemd:/docker/{ID}", "", "docker:0123456789ab"),
        (f"0::/machine.slice/libpod-{ID}.scope/container", f"libpod-{ID}.scope", "podman:0123456789ab"),
        (f"0::/machine.slice/libpod-conmon-{ID}.scope", f"libpod-conmon-{ID}.scope", ""),
        (
            f"0::/kubepods.slice/kubepods-besteffort.slice/cri-containerd-{ID}.scope",
            f"cri-containerd-{ID}.scope",
            "containerd:0123456789ab",
        ),
        (f"0::/kubepods/burstable/pod12/{ID}", "", "containerd:0123456789ab"),
        (f"0::/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope", f"crio-{ID}.scope", "crio:0123456789ab"),
        (f"0::/default/{ID}", "", "containerd:0123456789ab"),
        ("0::/lxc.payload.web/system.slice/nginx.service", "", "lxc:web"),
        ("0::/lxc.monitor.web", "", ""),
        ("0::/lxc/web", "", "lxc:web"),
        (
            "0::/machine.slice/machine-deb\\x2d12.scope/payload/init.scope",
            "machine-deb\\x2d12.scope",
            "nspawn:deb\\x2d12",
        ),
        ("0::/machine.slice/machine-deb.scope/supervisor", "machine-deb.scope", ""),
        ("0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt", "machine-qemu\\x2d1\\x2dvm.scope", ""),
        ("0::/machine.slice/systemd-nspawn@web.service/payload", "systemd-nspawn@web.service", "nspawn:web"),
        ("0::/machine.slice/systemd-nspawn@web.service/supervisor", "systemd-nspawn@web.service", ""),
    ],
)
def test_a_path_says_unit_and_container(text: str, unit: str, container: str) -> None:
    assert parse(f"{text}\n".encode()) == Membership(unit, container)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_without_a_fault(raw: bytes) -> None:
    unit, container = parse(raw)
    assert "/" not in unit
    assert container == "" or ":" in container
    (unit + container).encode()
