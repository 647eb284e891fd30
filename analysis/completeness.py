"""Completeness: what of a host's holdings no backup job covers as it should, why, and which settings would change that. Pure.

A path is covered by a job that saves it or a directory above it, unless a pattern leaves out something on the way or, with
`one_file_system`, another file system begins there. A running database needs a dump: files that are saved while it writes may not restore.
"""

from collections.abc import Iterator, Mapping, Sequence

from analysis.excludes import CACHE_TAG, Excludes
from contracts.record import Record
from contracts.subjects.backup import Covers, Dump
from contracts.subjects.holdings import UNKNOWN, Gap, Holding

GAPS = ("missing", "excluded", "other file system", "partly", "files only")
"""States that are gaps; `on purpose`, `not known` and `elsewhere` are none."""
SAVED = "saved"

_SYSTEM = frozenset(
    [
        "/",
        "/usr",
        "/boot",
        "/boot/efi",
        "/efi",
        "/var",
        "/tmp",
        "/var/tmp",
        "/home",
        "/srv",
        "/opt",
        "/var/lib",
        "/var/log",
    ]
)
"""Mount points that mean nothing by themselves: what lies in them is looked at piece by piece, or is made by the distribution."""
_TOOLS = {
    "mongodb": "mongodump",
    "openldap": "slapcat",
    "influxdb": "influx",
    "etcd": "etcdctl",
    "clickhouse": "clickhouse",
    "cockroachdb": "cockroach",
    "neo4j": "neo4j-admin",
    "couchdb": "couch",
    "postgresql": "pg_dump",
    "mysql": "dump",
    "redis": "redis-cli",
    "prometheus": "prom",
    "victoriametrics": "vmbackup",
}
"""A word that a command's line holds when it dumps the product."""
_DUMPED = ("postgresql", "mysql", "redis", "sqlite")


class Told(Record):
    """How one holding stands: a state (`saved` or as in `contracts.subjects.holdings.Gap`), the job that it speaks of, and why."""

    holding: Holding
    state: str
    reason: str
    job: str = ""
    settings: str = ""

    @property
    def gap(self) -> bool:
        """Whether something is missing."""
        return self.state in GAPS

    def row(self, since_ms: int) -> Gap:
        """The same as a row."""
        held = self.holding
        return Gap(
            kind=held.kind,
            name=held.name,
            path=held.path,
            state=self.state,
            reason=self.reason,
            job=self.job,
            settings=self.settings,
            since_ms=since_ms,
        )


class Way(Record):
    """What one job makes of a holding: the state and why. `setting` is the line that would take it in, where that is no path."""

    job: str
    state: str
    reason: str
    setting: str = ""


_ORDER = (SAVED, "on purpose", "excluded", "other file system", "partly", "missing")


def judge(holdings: Mapping[str, Holding], jobs: Mapping[str, Covers]) -> dict[str, Told]:
    """Say of each holding how it stands, by its key. Without a job nothing is said: there is nothing to compare with."""
    if not jobs:
        return {}
    points = sorted((row.path for row in holdings.values() if row.kind == "mount"), key=len)
    told = {key: _told(row, jobs, points) for key, row in holdings.items() if not _passed_over(row)}
    for name, covers in jobs.items():
        for file in covers.unread:
            row = Holding(part="settings", kind=UNKNOWN, name=file)
            reason = f"the patterns in {file}, which the job {name} uses, could not be read here"
            told[row.key] = Told(holding=row, state="not known", reason=reason, job=name)
    return told


def _passed_over(row: Holding) -> bool:
    return row.kind == "mount" and row.path in _SYSTEM


def _told(row: Holding, jobs: Mapping[str, Covers], points: Sequence[str]) -> Told:
    if row.kind == UNKNOWN:
        return Told(holding=row, state="not known", reason=f"{row.name} could not be looked at wholly: {row.detail}")
    purpose = next(
        (why for covers in jobs.values() for path, why in covers.not_saved.items() if _within(row, path)), None
    )
    if purpose is not None:
        return Told(holding=row, state="on purpose", reason=purpose)
    if row.kind == "packages":
        return Told(holding=row, state=SAVED, reason="the recovery sheet of every job lists them", job=next(iter(jobs)))
    if row.kind == "mount" and row.detail.endswith("on another machine"):
        return Told(holding=row, state="elsewhere", reason=f"{row.detail}: to be saved there")
    if row.kind == "database" and row.running:
        return _database(row, jobs, points)
    way = _best(row, jobs, points)
    settings = "" if way.state == SAVED else _settings_for_path(way, row.path, jobs)
    return Told(holding=row, state=way.state, reason=way.reason, job=way.job, settings=settings)


def _within(row: Holding, path: str) -> bool:
    return path in (row.path, row.name) or (row.path != "" and row.path.startswith(path.rstrip("/") + "/"))


def _database(row: Holding, jobs: Mapping[str, Covers], points: Sequence[str]) -> Told:
    for name, covers in jobs.items():
        for dump in covers.dumps:
            if _dumps(dump, row):
                return Told(holding=row, state=SAVED, reason=f"dumped as {dump.name}", job=name)
    job = next(iter(jobs))
    settings = _settings_for_database(row, job)
    way = _best(row, jobs, points) if row.path else Way(job="", state="missing", reason="")
    if way.state == SAVED:
        reason = f"its files are saved by the job {way.job} while it writes, and no job dumps it: they may not restore"
        return Told(
            holding=row, state="files only", reason=reason, job=way.job, settings=_settings_for_database(row, way.job)
        )
    return Told(holding=row, state="missing", reason="no job dumps it", settings=settings)


def _dumps(dump: Dump, row: Holding) -> bool:
    if dump.product == "command":
        word = _TOOLS.get(row.product)
        return word is not None and word in dump.line
    if dump.product != row.product:
        return False
    if row.container:
        return row.port != 0 and dump.port == row.port
    if row.product == "sqlite":
        return any(_below(row.path, path) for path in dump.paths)
    if row.socket and dump.socket:
        return _same_socket(dump.socket, row.socket)
    return row.port == 0 or dump.port in (0, row.port)


def _same_socket(one: str, other: str) -> bool:
    return one.removeprefix("/var") == other.removeprefix("/var") or other.startswith(one.rstrip("/") + "/")


def _best(row: Holding, jobs: Mapping[str, Covers], points: Sequence[str]) -> Way:
    ways = [_way(row, name, covers, points) for name, covers in jobs.items()]
    return min(ways, key=lambda way: _ORDER.index(way.state))


def _way(row: Holding, name: str, covers: Covers, points: Sequence[str]) -> Way:
    path = row.path
    above = [each for each in covers.paths if _below(path, each)]
    found = _left_out(row, name, covers) if above else None
    if found is not None:
        return found
    for each in sorted(above, key=len, reverse=True):
        pattern = _pattern(path, each, covers)
        if pattern:
            found = Way(job=name, state="excluded", reason=f'the pattern "{pattern}" of the job {name} leaves it out')
        elif covers.one_file_system and each != path and _point(path, points) != _point(each, points):
            where = _point(path, points)
            reason = (
                f"it lies on the file system at {where}, and the job {name} stays on that of {each} (one_file_system)"
            )
            found = Way(job=name, state="other file system", reason=reason)
        else:
            return Way(job=name, state=SAVED, reason=f"saved by the job {name}{_but_for(row, covers)}")
    if found is not None:
        return found
    parts = [each for each in covers.paths if _below(each, path)]
    if parts:
        return Way(job=name, state="partly", reason=f"the job {name} saves only {', '.join(parts)} of it")
    return Way(job=name, state="missing", reason="no job saves it")


def _left_out(row: Holding, name: str, covers: Covers) -> Way | None:
    """Whether a tag in a directory, or its size, takes a holding out of a job that has its path."""
    for folder, entry in row.tags:
        tag = f"{folder.rstrip('/')}/{entry.partition(':')[0]}"
        if entry in covers.tags:
            others = ", ".join(_quoted(each) for each in covers.tags if each != entry)
            reason = f"by the file {tag} the job {name} leaves out {folder} (exclude_if_present)"
            return Way(job=name, state="excluded", reason=reason, setting=f"exclude_if_present: [{others}]")
        if covers.caches and entry == CACHE_TAG:
            reason = f"{tag} marks {folder} as a cache, and the job {name} leaves those out (exclude_caches)"
            return Way(job=name, state="excluded", reason=reason, setting="exclude_caches: false")
    if 0 < covers.larger_than < row.size:
        reason = f"it has {row.size} bytes, and the job {name} leaves out files of more than {covers.larger_than} (exclude_larger_than)"
        return Way(job=name, state="excluded", reason=reason, setting="exclude_larger_than: 0B")
    return None


def _but_for(row: Holding, covers: Covers) -> str:
    """What within a directory the settings leave out by what lies there, which nobody has walked through to see; "" for nothing."""
    if row.size:
        return ""
    parts = [f"files of more than {covers.larger_than} bytes"] if covers.larger_than else []
    parts += [f"directories that hold {each}" for each in covers.tags]
    return f", without {' and '.join(parts)}" if parts else ""


def _pattern(path: str, start: str, covers: Covers) -> str:
    """The pattern that leaves out `path`, or a directory between `start` and it; "" for none."""
    excludes = Excludes(covers.excludes, covers.iexcludes)
    for way in _steps(path, start):
        if excludes.match(way):
            single = [
                each for each in covers.excludes if each and not each.startswith("!") and Excludes((each,)).match(way)
            ]
            folded = [each for each in covers.iexcludes if each and Excludes((), (each,)).match(way)]
            return (single or folded or ["of its settings"])[-1]
    return ""


def _steps(path: str, start: str) -> Iterator[str]:
    """`start`, and every directory from there down to `path`, and that."""
    yield start
    way = start.rstrip("/")
    for part in path[len(way) :].strip("/").split("/"):
        if part:
            way = f"{way}/{part}"
            yield way


def _below(path: str, other: str) -> bool:
    """Whether `path` is `other` or lies below it."""
    return path == other or path.startswith(other.rstrip("/") + "/")


def _point(path: str, points: Sequence[str]) -> str:
    """Where the file system is mounted that `path` lies on; `points` by length."""
    return next((point for point in reversed(points) if _below(path, point)), "/")


def _settings_for_path(way: Way, path: str, jobs: Mapping[str, Covers]) -> str:
    name = way.job or next(iter(jobs))
    covers = jobs[name]
    if way.setting:
        return _yaml(name, way.setting)
    if way.state == "excluded":
        return _yaml(name, f"excludes: [{', '.join(_quoted(each) for each in (*covers.excludes, f'!{path}'))}]")
    return _yaml(name, f"paths: [{', '.join(_quoted(each) for each in (*covers.paths, path))}]")


def _settings_for_database(row: Holding, job: str) -> str:
    name = "".join(char if char.isalnum() else "-" for char in row.path.rpartition("/")[2] or row.product).strip("-")
    if row.product in _DUMPED and not row.container:
        said = f"name: {name or row.product}"
        if row.product == "sqlite":
            said += f", paths: [{_quoted(row.path)}]"
        elif row.socket and row.product in ("mysql", "redis"):
            said += f", socket: {_quoted(row.socket)}"
        elif row.port:
            said += f", port: {row.port}"
        return _yaml(job, f"databases: {{{row.product}: [{{{said}}}]}}")
    tool = _TOOLS.get(row.product, f"a-command-that-dumps-{row.product}")
    inside = f"docker, exec, {row.container.rpartition(':')[2]}, " if row.container else ""
    return _yaml(job, f"databases: {{command: [{{name: {row.product}, argv: [{inside}{tool}]}}]}}")


def _yaml(job: str, line: str) -> str:
    return f"backup:\n  jobs:\n    {job}:\n      {line}"


def _quoted(text: str) -> str:
    plain = text.replace("/", "").replace("-", "").replace("_", "").replace(".", "").isalnum()
    return text if plain and text.startswith("/") else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
