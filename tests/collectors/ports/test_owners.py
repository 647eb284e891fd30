"""Who counts as the owner of a socket that several processes hold."""

from typing import Any

from collectors.ports.owners import Owners


def owner(server: Any, *pids: int) -> Any:
    server.open(port=9999, pids=pids)
    return Owners(server, server.sockets.found).of(pids)


def test_the_process_that_began_first_counts_and_not_its_workers(server: Any) -> None:
    assert owner(server, 200, 201, 202).user == "root"


def test_the_service_manager_keeps_its_socket_whether_the_service_runs_or_not(server: Any) -> None:
    server.run(1, name="systemd", executable="/usr/lib/systemd/systemd", unit="init.scope", started_ms=0)
    waiting, serving = owner(server, 1), owner(server, 1, 100)
    assert (waiting.executable, serving.executable) == ("/usr/lib/systemd/systemd",) * 2
    assert (waiting.identity, serving.identity) == ("", "")
    assert (serving.unit, serving.served_by) == ("ssh.service", ("/usr/sbin/sshd",))


def test_the_first_process_of_a_container_is_no_service_manager(server: Any) -> None:
    server.run(1, name="app", executable="/usr/local/bin/app", started_ms=0)
    assert owner(server, 1).identity == "root /usr/local/bin/app"


def test_nobody_is_the_kernel_only_where_everyone_was_looked_at(server: Any) -> None:
    assert owner(server).known
    server.set(owners_seen=False)
    assert not owner(server).known


def test_a_process_that_has_ended_meanwhile_leaves_the_owner_open(server: Any) -> None:
    assert owner(server, 12345).process == ""


def test_a_containers_files_are_not_looked_up_on_the_host(server: Any) -> None:
    server.run(800, executable="/usr/sbin/nginx", container="docker:0123456789ab")
    assert owner(server, 800).package == ""
    assert owner(server, 200).package == "nginx-common"


def test_a_writable_folder_above_the_program_is_noticed(server: Any, tmp_path: Any) -> None:
    folder = server.files._root / "srv"
    program = folder / "bin" / "daemon"
    server.run(900, executable="/srv/bin/daemon")
    assert not owner(server, 900).writable_place
    try:
        program.parent.mkdir(parents=True)
        program.write_text("x")
        folder.chmod(0o777)
        assert owner(server, 900).writable_place
    finally:
        program.unlink()
        program.parent.rmdir()
        folder.rmdir()


def test_a_program_in_memory_is_in_a_place_that_anyone_may_write(server: Any) -> None:
    server.run(901, executable="/memfd:payload", deleted=True)
    found = owner(server, 901)
    assert found.writable_place and found.deleted and not found.replaced
