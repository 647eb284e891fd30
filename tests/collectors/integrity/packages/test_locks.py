"""Locks that another process holds."""

from collectors.integrity.packages.locks import is_any_held
from host.linux import LinuxHost
from tests.collectors.integrity.packages.test_dpkg_state import held


def test_a_lock_counts_while_another_process_holds_it_and_a_file_that_is_not_there_never(made) -> None:
    paths = ["/nonexistent/lock", str(made.folder / "dpkg/lock")]
    files = LinuxHost().files
    assert not is_any_held(files, paths)
    with held(made):
        assert is_any_held(files, paths) and not is_any_held(files, paths[:1])
    assert not is_any_held(files, paths)
