"""Runs made of what rpm's database says before and after."""

from analysis.integrity.rpm_package import RpmPackage
from analysis.integrity.rpm_runs import NO_END, DnfRun, runs, versions


def _package(name: str, version: str, run: int = 10, architecture: str = "x86_64") -> RpmPackage:
    return RpmPackage(
        name=name,
        version=version,
        architecture=architecture,
        run=run,
        installed_s=run + 1,
        algorithm="sha256",
        signatures=(),
    )


def _runs(packages, before, history=(), told=(), is_busy=False):
    return runs(packages, before, history, 5000, frozenset(told), is_busy, 99_000)


def _told(run) -> list[str]:
    return [f"{one.deed} {one.name} {one.before}>{one.after}" for one in run.packages]


def _dnf(number: int, began_s: int, ended_s: int, *names: str) -> DnfRun:
    return DnfRun(number=number, began_s=began_s, ended_s=ended_s, who="0", command="c", names=frozenset(names))


def test_packages_of_one_run_are_one_and_those_of_another_are_another() -> None:
    before = {"a:x86_64": "1", "c:x86_64": "1"}
    now = [_package("a", "2"), _package("b", "1"), _package("c", "2", 20)]
    first, second = _runs(now, before)
    assert (first.id, _told(first)) == ("rpm-10", ["upgrade a 1>2", "install b >1"])
    assert (second.id, _told(second), second.started_ms, second.ended_ms) == (
        "rpm-20",
        ["upgrade c 1>2"],
        20_000,
        21_999,
    )
    assert (
        _runs(now, before, told=("rpm-10", "rpm-20")) == []
        and _runs(now, versions(now))[0].packages[0].deed == "reinstall"
    )
    old = [_package("a", "1", 4)]
    assert _runs(old, versions(old)) == []


def test_versions_beside_each_other_come_and_go_by_themselves() -> None:
    both = [_package("kernel", "1", 3), _package("kernel", "2")]
    assert versions(both) == {"kernel:x86_64": "1 2"}
    assert _told(_runs(both, {"kernel:x86_64": "1"})[0]) == ["install kernel >2"]
    (gone,) = _runs(both[1:], versions(both), told=("rpm-10",))
    assert _told(gone) == ["remove kernel 1>"] and gone.id == "rpm-removed-5000"


def test_dnf_tells_of_the_run_in_whose_time_its_packages_came_and_of_what_it_took_away() -> None:
    now = [_package("a", "2")]
    (run,) = _runs(now, {"a:x86_64": "1", "b:noarch": "1"}, [_dnf(1, 9, 12, "a", "b")])
    assert (run.id, run.tool, run.command, _told(run)) == ("rpm-10", "dnf", "c", ["upgrade a 1>2", "remove b 1>"])
    (other,) = _runs(now, {"a:x86_64": "1"}, [_dnf(1, 20, 30, "a"), _dnf(2, 9, 12, "x")])
    assert other.tool == "rpm", "of another time, and of other packages"
    (removal,) = _runs([], {"b:noarch": "1"}, [_dnf(3, 6, 0, "b")])
    assert (removal.id, removal.unfinished) == ("dnf-3", NO_END)


def test_while_a_run_is_under_way_the_last_one_has_no_end() -> None:
    first, last = _runs([_package("a", "1"), _package("b", "1", 20)], {}, is_busy=True)
    assert first.ended_ms and not last.ended_ms
