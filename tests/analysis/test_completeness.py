"""What no job covers: by where it lies, what patterns leave out, where file systems begin, and whether a running database is dumped."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.completeness import Told, judge
from contracts.subjects.backup import Covers, Dump
from contracts.subjects.holdings import Holding

JOB = Covers(paths=("/etc", "/home", "/var"), excludes=("/var/cache", "*.iso", "/home/bob"))


def data(path: str, kind: str = "data") -> Holding:
    return Holding(part="places", kind=kind, name=path, path=path)


def mount(path: str) -> Holding:
    return Holding(part="mounts", kind="mount", name=path, path=path, fs="ext4", detail="ext4 from /dev/sdb1")


def database(product: str, path: str = "", port: int = 0, **more: object) -> Holding:
    return Holding(
        part="databases", kind="database", name=product, path=path, product=product, port=port, running=True, **more
    )  # type: ignore[arg-type]


def told(*rows: Holding, **jobs: Covers) -> list[Told]:
    found = judge({row.key: row for row in rows}, jobs or {"system": JOB})
    return [found[row.key] for row in rows if row.key in found]


def state(row: Holding, *others: Holding, **jobs: Covers) -> str:
    return told(row, *others, **jobs)[0].state


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/etc", "saved"),
        ("/home/ada", "saved"),
        ("/var/lib/app", "saved"),
        ("/homes", "missing"),
        ("/srv/shop", "missing"),
        ("/home/bob", "excluded"),
        ("/home/bob/data", "excluded"),
        ("/var/cache/x", "excluded"),
    ],
)
def test_a_path_is_saved_missing_or_left_out_by_a_pattern(path: str, wanted: str) -> None:
    assert state(data(path)) == wanted


def test_the_pattern_is_named_and_the_settings_take_the_path_in() -> None:
    (left,) = told(data("/home/bob"))
    assert '"/home/bob" of the job system' in left.reason
    assert '"!/home/bob"' in left.settings
    (missing,) = told(data("/srv/shop"))
    assert missing.settings.endswith("paths: [/etc, /home, /var, /srv/shop]")


def test_the_settings_that_are_named_close_the_gap() -> None:
    from actions.backup.options import BackupOptions
    from agent.backup_plan import covers_of

    holdings = [
        data("/srv/a b"),
        data("/home/bob"),
        database("postgresql", "/var/lib/postgresql/15/main", 5433),
        database("sqlite", "/srv/x.db"),
        database("mongodb", "/var/lib/mongodb", 27017),
    ]
    for row in holdings:
        (gap,) = told(row)
        assert gap.gap
        import yaml

        said = yaml.safe_load(gap.settings)["backup"]
        merged = {"jobs": {"system": {"repository": "/r", "paths": list(JOB.paths), "excludes": list(JOB.excludes)}}}
        merged["jobs"]["system"] |= said["jobs"]["system"]
        options = msgspec.convert(merged, BackupOptions)
        assert state(row, system=covers_of(options.jobs["system"], {})) == "saved", gap.settings


def tagged(path: str, folder: str, entry: str) -> Holding:
    return msgspec.structs.replace(data(path), tags=((folder, entry),))


def test_what_a_tag_or_its_size_takes_out_is_not_saved_and_the_settings_take_it_in() -> None:
    import yaml

    from actions.backup.options import BackupOptions
    from agent.backup_plan import covers_of
    from analysis.excludes import CACHE_TAG

    own = {"exclude_if_present": [".nobackup", "keep:out"], "exclude_larger_than": 4096}
    merged = {"repository": "/r", "paths": list(JOB.paths), "excludes": list(JOB.excludes), **own}
    covers = covers_of(msgspec.convert({"jobs": {"system": merged}}, BackupOptions).jobs["system"], {})
    rows = [
        tagged("/home/ada", "/home", ".nobackup"),
        tagged("/var/lib/app", "/var/lib/app", "keep:out"),
        tagged("/home/ada", "/home/ada", CACHE_TAG),
        msgspec.structs.replace(data("/var/lib/app.db"), size=4097),
    ]
    for row in rows:
        (gap,) = told(row, system=covers)
        assert (gap.state, gap.job) == ("excluded", "system")
        said = yaml.safe_load(gap.settings.replace("0B", "0"))["backup"]["jobs"]["system"]
        options = msgspec.convert({"jobs": {"system": {**merged, **said}}}, BackupOptions)
        assert state(row, system=covers_of(options.jobs["system"], {})) == "saved", gap.settings
    assert "by the file /home/.nobackup the job system leaves out /home" in told(rows[0], system=covers)[0].reason
    assert state(rows[0], system=JOB) == "saved", "a tag that no job asks for takes nothing out"
    assert state(rows[0], system=covers, other=Covers(paths=("/home",))) == "saved"
    assert state(msgspec.structs.replace(data("/var/lib/app.db"), size=4096), system=covers) == "saved"
    assert state(tagged("/srv/x", "/srv", ".nobackup"), system=covers) == "missing"


def test_what_nobody_walked_through_is_said_beside_saved() -> None:
    covers = msgspec.structs.replace(JOB, tags=(".nobackup",), larger_than=4096)
    (found,) = told(data("/home/ada"), system=covers)
    assert found.state == "saved"
    assert found.reason.endswith("system, without files of more than 4096 bytes and directories that hold .nobackup")


def test_another_file_system_is_not_saved_by_a_job_that_stays_on_one() -> None:
    one = msgspec.structs.replace(JOB, one_file_system=True)
    where = mount("/var/lib/app")
    assert state(data("/var/lib/app/files"), where, system=one) == "other file system"
    assert state(where, system=one) == "other file system"
    assert state(data("/var/lib/other"), where, system=one) == "saved"
    assert state(where, system=JOB) == "saved"
    asked = msgspec.structs.replace(one, paths=(*one.paths, "/var/lib/app"))
    assert state(data("/var/lib/app/files"), where, system=asked) == "saved"


def test_part_of_a_place_is_not_the_whole() -> None:
    (found,) = told(data("/home"), system=Covers(paths=("/home/ada",)))
    assert (found.state, "/home/ada" in found.reason) == ("partly", True)


def test_one_job_that_saves_it_is_enough() -> None:
    assert state(data("/home/bob"), one=JOB, two=Covers(paths=("/home/bob",))) == "saved"


def test_what_the_settings_leave_out_on_purpose_is_no_gap() -> None:
    covers = msgspec.structs.replace(JOB, not_saved={"/home/bob": "test data", "mongodb": "made anew"})
    (found,) = told(data("/home/bob/x"), system=covers)
    assert (found.state, found.reason, found.gap) == ("on purpose", "test data", False)
    assert state(database("mongodb"), system=covers) == "on purpose"


@pytest.mark.parametrize(
    ("row", "dump", "wanted"),
    [
        (database("postgresql", "/var/lib/postgresql/15/main", 5432), None, "files only"),
        (database("postgresql", "/data/pg", 5432), None, "missing"),
        (database("postgresql", "", 5432), Dump(product="postgresql", name="m", port=5432, socket="/run/postgresql"), "saved"),
        (database("postgresql", "", 5433), Dump(product="postgresql", name="m", port=5432), "missing"),
        (database("mysql", socket="/run/mysqld/m.sock"), Dump(product="mysql", name="m", socket="/var/run/mysqld/m.sock"), "saved"),
        (database("redis", "", 6379), Dump(product="postgresql", name="m", port=6379), "missing"),
        (database("sqlite", "/var/lib/app/x.db"), Dump(product="sqlite", name="s", paths=("/var/lib/app",)), "saved"),
        (database("sqlite", "/var/lib/other/x.db"), Dump(product="sqlite", name="s", paths=("/var/lib/app",)), "files only"),
        (database("openldap", "/var/lib/ldap"), Dump(product="command", name="l", line="/usr/sbin/slapcat -n 1"), "saved"),
        (database("mongodb", container="docker:0123"), Dump(product="command", name="l", line="docker exec m mongodump"), "saved"),
        (database("postgresql", "", 5432, container="docker:0123"), None, "missing"),
    ],
)  # fmt: skip
def test_a_running_database_needs_a_dump(row: Holding, dump: Dump | None, wanted: str) -> None:
    covers = msgspec.structs.replace(JOB, dumps=(dump,) if dump else ())
    assert state(row, system=covers) == wanted


def test_a_database_that_does_not_run_is_saved_with_its_files() -> None:
    row = msgspec.structs.replace(database("postgresql", "/var/lib/postgresql/15/main"), running=False)
    assert state(row) == "saved"


def test_what_could_not_be_looked_at_is_not_known_and_never_saved() -> None:
    row = Holding(part="mounts", kind="unknown", name="mounts", detail="may not be read")
    (found,) = told(row)
    assert (found.state, "may not be read" in found.reason, found.gap) == ("not known", True, False)
    both = judge({}, {"system": Covers(paths=("/",), unread=("/etc/excludes",))})
    assert [(each.state, "/etc/excludes" in each.reason) for each in both.values()] == [("not known", True)]


def test_packages_are_on_the_recovery_sheet_and_remote_file_systems_elsewhere() -> None:
    assert state(data("/nowhere/status", "packages")) == "saved"
    remote = msgspec.structs.replace(mount("/mnt/nas"), detail="nfs4 from nas:/x, on another machine")
    assert state(remote) == "elsewhere"
    assert told(mount("/boot")) == []


def test_without_a_job_nothing_is_judged() -> None:
    assert judge({"x": data("/srv")}, {}) == {}


PARTS = st.lists(st.sampled_from(["a", "b", "c.iso", "cache"]), min_size=0, max_size=4)


@given(PARTS, PARTS, st.booleans())
def test_saved_means_below_a_path_and_nothing_else(path: list[str], base: list[str], iso: bool) -> None:
    where, start = "/" + "/".join(path), "/" + "/".join(base)
    covers = Covers(paths=(start,), excludes=("*.iso",) if iso else ())
    below = path[: len(base)] == base
    left_out = iso and any(part.endswith(".iso") for part in path)  # a pattern also means what lies below
    assert (state(data(where), system=covers) == "saved") == (below and not left_out)
