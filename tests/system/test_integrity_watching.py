"""The watch and the collector as the agent wires them, while apt and dpkg really work: one event a run, and what stands out beside it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import CACHE
from tests.system.debian_packages import APT, Judge, inside, layer, overlaid, two_versions
from tests.system.test_integrity_packages import Repository, _trojan

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

ROUNDS = int(os.environ.get("HOLDFAST_PACKAGE_ROUNDS", "2"))
"""So many more runs of apt are watched, beside processes that keep every processor busy."""


@pytest.fixture(scope="module")
def packages_layer(debian_root: Path) -> Path:
    return layer(debian_root, CACHE)


@pytest.fixture(scope="module")
def root(packages_layer: Path, debian_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with overlaid([packages_layer, debian_root], tmp_path_factory.mktemp("watched") / "overlay") as merged:
        (merged / "etc/resolv.conf").write_text("")  # nothing is fetched from here on
        yield merged


@pytest.fixture(scope="module")
def repository(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    made = Repository(root, tmp_path_factory.mktemp("repository") / "gnupg")
    made.publish("1.0", {"usr/bin/hf-tool": b"#!/bin/sh\necho one\n", "usr/share/hf/a": b"a"})
    yield made
    subprocess.run(["gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent"], check=False)


@pytest.fixture(scope="module")
def watch(root: Path, repository: Repository) -> Iterator[Judge]:
    """At work, with the baseline made and every archive that lies there read."""
    asked = Judge(root, driver="wired.py")
    try:
        assert asked("begin")["blind"] == []
        yield asked
    finally:
        asked.close()


def _run(told: dict) -> tuple[dict, list[dict]]:
    """Return the event of the one run, and all others."""
    runs = [one for one in told["events"] if one["kind"].startswith("integrity.transaction")]
    said = [
        (one["kind"], one["key"], one["fields"].get("what") or one["fields"].get("basis")) for one in told["events"]
    ]
    assert len(runs) == 1, [*said, *told["blind"]]
    return runs[0], [one for one in told["events"] if one not in runs]


def _alone(told: dict) -> dict:
    """Return the event of a run, besides which nothing was said."""
    run, beside = _run(told)
    assert beside == [] and told["blind"] == [], json.dumps(told, indent=1)[:6000]
    return run


def test_install_upgrade_and_remove_while_watched_are_one_event_each_and_nothing_else(root: Path, watch: Judge) -> None:
    name, (older, newer) = two_versions(root)
    deeds = [
        (("install", "openssh-server", "cron", "vim-tiny", f"{name}={older}"), "installed"),
        (("install", f"{name}={newer}"), f"{name} {older} ->"),
        (("remove", "vim-tiny"), "removed"),
    ]
    for words, says in deeds:
        inside(root, *APT, *words)
        run = _alone(watch("told"))
        assert run["kind"] == "integrity.transaction" and says in run["fields"]["what"], run
        assert run["fields"]["files"] > 0 == run["fields"]["unproved"]


def test_an_upgrade_whose_archives_go_with_it_is_proved_because_they_were_read_before(root: Path, watch: Judge) -> None:
    (archive,) = (root / "var/cache/apt/archives").glob("iputils-ping_*.deb")
    content = archive.read_bytes()
    inside(root, "sh", "-c", " ".join(APT) + " install iputils-ping; rm /var/cache/apt/archives/iputils-ping*.deb")
    assert not archive.exists()
    assert _alone(watch("told"))["kind"] == "integrity.transaction"
    archive.write_bytes(content)  # for those that install it again


def test_runs_that_follow_at_once_are_one_event_each(root: Path, watch: Judge) -> None:
    inside(root, "sh", "-ec", f"{' '.join(APT)} install vim-tiny; {' '.join(APT)} remove iputils-ping; dpkg -r cron")
    told = watch("told")
    runs = {one["fields"]["what"]: one for one in told["events"]}
    assert {one["kind"] for one in told["events"]} == {"integrity.transaction"}, json.dumps(told, indent=1)[:4000]
    assert [word for text in runs for word in ("vim-tiny", "iputils-ping", "cron") if text.startswith(word)] == [
        "vim-tiny", "iputils-ping", "cron"
    ]  # fmt: skip
    assert all(one["fields"]["files"] > 0 for one in runs.values())


@pytest.mark.parametrize(
    ("victim", "pause_s"), [("/usr/bin/lscpu", 0), ("/usr/bin/lsmem", 2)], ids=["at once", "set back later"]
)
def test_a_trojan_written_during_a_run_stands_out_beside_it(
    root: Path, watch: Judge, victim: str, pause_s: float
) -> None:
    """Whether the watch looks between its being written and its being dated back, or not."""
    inside(root, *APT, "purge", "nginx-light", "nginx-common")
    watch("told")
    _trojan(root, "util-linux", victim, pause_s)
    inside(root, *APT, "-o", "DPkg::Post-Invoke::=/tmp/trojan.sh", "install", "nginx-light")
    run, beside = _run(told := watch("told"))
    assert "nginx-light" in run["fields"]["what"] and run["fields"]["files"] > 10
    (trojan,) = beside
    assert (trojan["key"], trojan["fields"]["contradicts"]) == (victim, True), json.dumps(told, indent=1)[:4000]
    assert trojan["kind"] == "integrity.timestomped" and trojan["severity"] >= 4


KILLS = "#!/bin/sh\n[ -e /tmp/deadly ] || exit 0\nrm /tmp/deadly\n"


@pytest.mark.parametrize(
    ("version", "victim", "why"),
    [("2.0", "$PPID", "exited unexpectedly"), ("2.1", "$(cut -d' ' -f4 /proc/$PPID/stat)", "its log has no end")],
    ids=["dpkg", "apt"],
)
def test_a_run_that_dies_in_the_middle_is_one_event_that_says_so_and_its_end_another(
    root: Path, watch: Judge, repository: Repository, version: str, victim: str, why: str
) -> None:
    """The script of the package itself kills dpkg, or apt, while it is configured."""
    files = {"usr/bin/hf-tool": version.encode(), "usr/share/hf/b": b"b", "etc/hf-tool.conf": version.encode()}
    repository.publish(version, files, postinst=KILLS + f"kill -9 {victim}\nsleep 1\n")
    watch("told")
    (root / "tmp/deadly").touch()
    inside(root, *APT, "install", f"hf-tool={version}", check=False)
    run = _alone(watch("told"))
    assert why in run["fields"]["unfinished"] and f"{version} installed (unfinished: " in run["fields"]["what"], run
    assert run["severity"] >= 3 and run["fields"]["files"] >= 3 and run["kind"] == "integrity.transaction"
    inside(root, "dpkg", "--configure", "-a")
    inside(root, "dpkg", "--purge", "hf-tool")
    told = watch("told")
    assert {one["kind"] for one in told["events"]} == {"integrity.transaction"}, json.dumps(told, indent=1)[:4000]
    assert not any(one["fields"].get("unfinished") for one in told["events"])


def test_dpkg_killed_while_it_unpacks_leaves_one_event_that_says_so(
    root: Path, watch: Judge, repository: Repository
) -> None:
    """It is killed while a large file is written: what it has unpacked so far lies there as `.dpkg-new`, one of them in part."""
    files = {"usr/share/hf/a": b"a", "usr/share/hf/big": os.urandom(40 << 20), "usr/share/hf/z": b"z"}
    repository.publish("3.0", files)
    watch("told")
    kill = (
        "dpkg -i /srv/repository/hf-tool_3.0_all.deb & "
        "while [ ! -s /usr/share/hf/big.dpkg-new ]; do :; done; kill -9 $!; wait; ls /usr/share/hf"
    )
    left = inside(root, "sh", "-c", kill).stdout
    assert "big.dpkg-new" in left
    run = _alone(watch("told"))
    assert "hf-tool was left half-installed" in run["fields"]["unfinished"] and run["fields"]["files"] >= 2
    inside(root, "dpkg", "-i", "/srv/repository/hf-tool_3.0_all.deb")
    again, beside = _run(told := watch("told"))
    assert beside == [] and all("big.dpkg-new: changed while it was read" in spot for spot in told["blind"])
    assert not again["fields"].get("unfinished") and again["kind"] == "integrity.transaction"


def test_run_after_run_beside_busy_processors(root: Path, watch: Judge) -> None:
    name, (older, newer) = two_versions(root)
    cycle = [
        ("install", "cron"), ("install", f"{name}={older}"), ("install", "iputils-ping"), ("install", f"{name}={newer}"),
        ("purge", "cron"), ("remove", "vim-tiny"), ("install", "python3-yaml"), ("remove", "iputils-ping"),
        ("install", "vim-tiny"), ("remove", "python3-yaml"), ("remove", name),
    ]  # fmt: skip
    watch("told")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 2)]
    try:
        for number in range(ROUNDS):
            inside(root, *APT, *cycle[number % len(cycle)])
            assert _alone(watch("told"))["kind"] == "integrity.transaction", number
    finally:
        for process in busy:
            process.kill()
            process.wait()
