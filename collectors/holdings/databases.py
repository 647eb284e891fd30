"""Databases of this host: servers by their processes and sockets, data directories without a server, SQLite files held open."""

import re

from collectors.holdings.reading import Reading
from collectors.holdings.sqlite_open import held_open
from contracts.errors import Unavailable, Why
from contracts.host import Process
from contracts.subjects.holdings import Holding

PART = "databases"
_PROGRAMS = {
    **dict.fromkeys(("postgres", "postmaster"), "postgresql"),
    **dict.fromkeys(("mysqld", "mariadbd"), "mysql"),
    **dict.fromkeys(("redis-server", "valkey-server", "keydb-server"), "redis"),
    "mongod": "mongodb",
    "slapd": "openldap",
    "influxd": "influxdb",
    "etcd": "etcd",
    "clickhouse-serv": "clickhouse",
    "cockroach": "cockroachdb",
    "neo4j": "neo4j",
    "couchdb": "couchdb",
    "victoria-metric": "victoriametrics",
    "prometheus": "prometheus",
}
"""What the kernel calls a process (15 letters at most), and the product that it is."""
_PORTS = {"postgresql": 5432, "mysql": 3306, "redis": 6379, "mongodb": 27017}
_SOCKETS = (
    (re.compile(r".*/\.s\.PGSQL\.(\d+)"), "postgresql"),
    (re.compile(r".*/(?:mysqld?|mariadb)\.sock"), "mysql"),
    (re.compile(r".*/(?:redis|valkey)[\w.-]*\.sock"), "redis"),
    (re.compile(r".*/mongodb-(\d+)\.sock"), "mongodb"),
)
_FOLDER = {
    "postgresql": re.compile(r"\s-D\s*(\S+)|--pgdata[= ](\S+)|data_directory=(\S+)"),
    "mysql": re.compile(r"--datadir=(\S+)"),
    "mongodb": re.compile(r"--dbpath[= ](\S+)"),
    "etcd": re.compile(r"--data-dir[= ](\S+)"),
    "prometheus": re.compile(r"--storage\.tsdb\.path[= ](\S+)"),
}
_USUAL = {
    "mysql": ("/var/lib/mysql",),
    "redis": ("/var/lib/redis", "/var/lib/valkey"),
    "mongodb": ("/var/lib/mongodb", "/var/lib/mongo"),
    "openldap": ("/var/lib/ldap",),
    "influxdb": ("/var/lib/influxdb2", "/var/lib/influxdb"),
    "etcd": ("/var/lib/etcd",),
    "clickhouse": ("/var/lib/clickhouse",),
}
_MARKS = {"mysql": "ibdata1", "mongodb": "WiredTiger"}
"""A file that shows that a folder holds data of the product."""
_MOST = 512


def look(reading: Reading) -> list[Holding]:
    """Every server that runs, every data directory that no server uses, and SQLite files that somebody holds open."""
    running = _running(reading)
    known = {row.product for row in running}
    running += [row for row in _by_socket(reading) if row.product not in known]
    used = {row.path for row in running}
    idle = [row for row in _idle(reading) if row.path not in used]
    return [*running, *idle, *(_sqlite(path) for path in held_open(reading))]


def _sqlite(path: str) -> Holding:
    return Holding(
        part=PART,
        kind="database",
        name=f"sqlite {path}",
        path=path,
        product="sqlite",
        running=True,
        detail="a process holds it open",
    )


def _running(reading: Reading) -> list[Holding]:
    products = _products(reading)
    if not products:
        return []
    found = reading.host.processes.describe(sorted(products)[:_MOST])
    reading.blind += found.blind
    ports = _listening(reading)
    rows = []
    for pid, process in sorted(found.by_pid.items()):
        if process.parent in products and products[process.parent] == products[pid]:
            continue  # a server's own children
        rows.append(_server(reading, products[pid], process, ports.get(pid, [])))
    return rows


def _products(reading: Reading) -> dict[int, str]:
    """The product of each process that is a database server."""
    products = {}
    for name in reading.names("/proc"):
        if not name.isdigit():
            continue
        try:
            word = reading.host.files.read(f"/proc/{name}/comm", 256).decode("utf-8", "replace").strip()
        except Unavailable as error:
            if error.why is not Why.NOT_PRESENT:
                reading.miss(f"what process {name} runs", error)
            continue
        if word in _PROGRAMS:
            products[int(name)] = _PROGRAMS[word]
    return products


def _listening(reading: Reading) -> dict[int, list[int]]:
    try:
        found = reading.host.sockets.listening()
    except Unavailable as error:
        reading.miss("on which ports databases listen", error)
        return {}
    ports: dict[int, list[int]] = {}
    for socket in found.sockets:
        for pid in socket.pids:
            ports.setdefault(pid, []).append(socket.port)
    return ports


def _server(reading: Reading, product: str, process: Process, ports: list[int]) -> Holding:
    folder = _folder(reading, product, process)
    port = min(ports, default=0)
    where = f"port {port}" if port else "no port"
    inside = f" in the container {process.container}" if process.container else ""
    return Holding(
        part=PART,
        kind="database",
        name=f"{product} {folder or f'({where})'}" + inside,
        path=folder,
        product=product,
        port=port,
        container=process.container,
        running=True,
        detail=f"{process.name} runs as {process.user or process.uid}, {where}{inside}",
    )


def _folder(reading: Reading, product: str, process: Process) -> str:
    """The data directory: by the command line, by where the process works, or the usual one; of a container none of this host's."""
    if process.container:
        return ""
    pattern = _FOLDER.get(product)
    said = pattern.search(process.command_line) if pattern is not None else None
    if said is not None:
        return next(group for group in said.groups() if group).rstrip("/")
    try:
        work = reading.host.files.link(f"/proc/{process.pid}/cwd").decode("utf-8", "surrogateescape")
    except Unavailable:
        work = "/"  # the usual place will do
    if work not in ("/", "") and product in ("postgresql", "mysql", "redis"):
        return work
    return next((path for path in _USUAL.get(product, ()) if reading.is_dir(path)), "")


def _by_socket(reading: Reading) -> list[Holding]:
    """Servers by the names of their Unix sockets: they show even where processes of others do not."""
    rows = {}
    for line in reading.text("/proc/net/unix", 8 << 20).splitlines()[1:]:
        path = line.split(" ")[-1]
        for pattern, product in _SOCKETS:
            found = pattern.fullmatch(path)
            if found is None or path.startswith("@"):
                continue
            port = int(found[1]) if found.groups() else 0
            folder = next((usual for usual in _USUAL.get(product, ()) if reading.is_dir(usual)), "")
            rows[path] = Holding(
                part=PART,
                kind="database",
                name=f"{product} {folder or path}",
                path=folder,
                product=product,
                port=port,
                socket=path,
                running=True,
                detail=f"listens on {path}",
            )
    return list(rows.values())


def _idle(reading: Reading) -> list[Holding]:
    folders = [
        ("postgresql", path)
        for version in reading.folders("/var/lib/postgresql")
        for path in reading.folders(version)
        if reading.is_file(f"{path}/PG_VERSION")
    ]
    folders += [
        (product, path)
        for product, mark in _MARKS.items()
        for path in _USUAL[product]
        if reading.is_dir(path) and reading.is_file(f"{path}/{mark}")
    ]
    return [
        Holding(
            part=PART, kind="database", name=f"{product} {path}", path=path, product=product, detail="no server runs"
        )
        for product, path in folders
    ]
