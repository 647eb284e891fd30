"""The service manager is told, where there is one."""

import socket
from pathlib import Path

from console.notify_manager import tell_manager


def test_the_manager_hears_by_path_and_by_abstract_name(tmp_path: Path) -> None:
    for address, name in ((str(tmp_path / "n"), str(tmp_path / "n")), (f"\0{tmp_path}", f"@{tmp_path}")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            manager.settimeout(30)
            tell_manager("READY=1", {"NOTIFY_SOCKET": name})
            assert manager.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    tell_manager("READY=1", {})
    tell_manager("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "gone")})
