"""Servers by process, port, socket and data directory; a server's children are not servers."""

from pathlib import Path

from collectors.holdings.databases import look
from collectors.holdings.reading import Reading
from contracts.errors import Unavailable, Why
from contracts.host import Process, Processes, Socket, Sockets
from contracts.subjects.holdings import Holding
from host.fake import FakeHost

UNIX = """Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 20001 /run/mysqld/mysqld.sock
0000000000000000: 00000002 00000000 00010000 0001 01 20002 /run/postgresql/.s.PGSQL.5433
0000000000000000: 00000002 00000000 00010000 0001 01 20003 @/abstract/mysqld.sock
0000000000000000: 00000003 00000000 00000000 0001 03 20004
"""


def host_with(tmp_path: Path, *processes: Process, unix: str = "") -> FakeHost:
    made = FakeHost(tmp_path)
    proc = tmp_path / "files" / "proc"
    for process in processes:
        (proc / str(process.pid)).mkdir(parents=True)
        (proc / str(process.pid) / "comm").write_text(f"{process.name}\n")
    (proc / "net").mkdir(parents=True)
    (proc / "net" / "unix").write_text(unix)
    made.processes.found = Processes(by_pid={process.pid: process for process in processes})
    return made


def rows(host: FakeHost) -> dict[str, Holding]:
    return {row.name: row for row in look(Reading(host, "databases"))}


def test_a_server_is_told_with_its_folder_and_port_and_its_children_are_not(tmp_path: Path) -> None:
    line = "/usr/lib/postgresql/15/bin/postgres -D /data/pg -c config_file=/etc/x"
    server = Process(pid=10, name="postgres", command_line=line, user="postgres", parent=1)
    child = Process(pid=11, name="postgres", command_line="postgres: checkpointer", parent=10)
    redis = Process(pid=20, name="redis-server", command_line="redis-server 127.0.0.1:6379", user="redis", parent=1)
    inside = Process(pid=30, name="mongod", command_line="mongod --dbpath /data/db", container="docker:0123456789ab")
    host = host_with(tmp_path, server, child, redis, inside, Process(pid=40, name="bash"))
    (tmp_path / "files/proc/20/cwd").symlink_to("/srv/cache")
    sockets = (Socket(protocol="tcp", family=4, address="127.0.0.1", port=5433, pids=(10,)),)
    host.sockets.found = Sockets(sockets=sockets)
    found = rows(host)
    assert {name: (row.path, row.port, row.running) for name, row in found.items()} == {
        "postgresql /data/pg": ("/data/pg", 5433, True),
        "redis /srv/cache": ("/srv/cache", 0, True),
        "mongodb (no port) in the container docker:0123456789ab": ("", 0, True),
    }


def test_sockets_tell_of_servers_whose_processes_do_not_show(tmp_path: Path) -> None:
    found = rows(host_with(tmp_path, unix=UNIX))
    assert {(row.product, row.port, row.socket) for row in found.values()} == {
        ("mysql", 0, "/run/mysqld/mysqld.sock"),
        ("postgresql", 5433, "/run/postgresql/.s.PGSQL.5433"),
    }


def test_a_data_directory_without_a_server_is_told_as_such(tmp_path: Path) -> None:
    for name in ("var/lib/postgresql/15/main/PG_VERSION", "var/lib/mysql/ibdata1"):
        (tmp_path / "files" / name).parent.mkdir(parents=True)
        (tmp_path / "files" / name).write_text("15")
    found = rows(host_with(tmp_path))
    assert {(row.path, row.running) for row in found.values()} == {
        ("/var/lib/postgresql/15/main", False),
        ("/var/lib/mysql", False),
    }


def test_what_could_not_be_asked_is_noted(tmp_path: Path) -> None:
    host = host_with(tmp_path, Process(pid=10, name="mysqld", parent=1))
    host.sockets.found = Unavailable(Why.PERMISSION, "no netlink", advice="be root")
    host.files.denied.add("/proc/net/unix")
    reading = Reading(host, "databases")
    assert [row.product for row in look(reading)] == ["mysql"]
    assert {blind.detail for blind in reading.blind} == {"no netlink", "/proc/net/unix may not be read"}
