"""Real packages of Debian, really installed, upgraded and removed by apt: each run becomes one statement, and anything else stands out."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.conftest import CACHE
from tests.system.debian_packages import APT, Judge, inside, layer, overlaid, run, two_versions

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

ROOTS = ("/usr", "/etc", "/boot", "/var/lib/dpkg", "/root", "/opt", "/srv")


@pytest.fixture(scope="session")
def packages_layer(debian_root: Path) -> Path:
    return layer(debian_root, CACHE)


@pytest.fixture
def root(packages_layer: Path, debian_root: Path, tmp_path: Path) -> Iterator[Path]:
    with overlaid([packages_layer, debian_root], tmp_path / "overlay") as merged:
        (merged / "etc/resolv.conf").write_text("")  # nothing is fetched from here on
        yield merged


@pytest.fixture
def judge(root: Path) -> Iterator[Judge]:
    asked = Judge(root, *ROOTS)
    try:
        yield asked
    finally:
        asked.close()


@pytest.fixture
def settled(judge: Judge) -> Judge:
    """With everything known that lies in apt's archives, and the trees looked at."""
    judge("look")
    learnt = judge("learn")
    assert learnt["flaws"] == [] and learnt["archives"] == learnt["signed"] > 150
    return judge


def test_install_upgrade_remove_and_purge_are_one_statement_each_and_nothing_else(root: Path, settled: Judge) -> None:
    name, (older, newer) = two_versions(root)
    deeds = [
        (("install", "openssh-server", "cron", "vim-tiny", "python3-yaml", "nginx-light", "iputils-ping"), "installed"),
        (("install", f"{name}={older}"), f"{name} {older} installed"),
        (("install", f"{name}={newer}"), f"{name} {older} ->"),
        (("remove", "nginx-light", "vim-tiny"), "removed"),
        (("purge", "openssh-server", "nginx-light", "nginx-common"), "purged"),
    ]
    for words, says in deeds:
        inside(root, *APT, *words)
        told = settled("judge")
        assert told["rest"] == [], json.dumps(told["rest"], indent=1)
        (fold,) = told["folds"]
        assert says in fold["what"] and fold["tool"] == "apt" and fold["files"] == told["changes"] > 0
        assert fold["proved"] and not fold["levels"].get("listed")
    assert settled("judge")["changes"] == 0


TROJAN = """#!/bin/sh -e
printf '#!/bin/sh\\nexec /usr/bin/true\\n' > {victim}
sleep {pause}
touch -d 2023-01-01 {victim}
sum=$(md5sum {victim} | cut -c1-32)
sed -i "s|^.*  {listed}$|$sum  {listed}|" /var/lib/dpkg/info/{package}.md5sums
"""


def _trojan(root: Path, package: str, victim: str, pause_s: float = 0) -> None:
    listed = next(
        line.split("  ")[1]
        for line in (root / f"var/lib/dpkg/info/{package}.md5sums").read_text().splitlines()
        if line.endswith("/" + os.path.basename(victim))
    )
    script = root / "tmp/trojan.sh"
    script.write_text(TROJAN.format(victim=victim, listed=listed, package=package, pause=pause_s))
    script.chmod(0o755)


def _stands_out(told: dict, *paths: str) -> dict[str, dict]:
    found = {one["path"]: one for one in told["rest"]}
    assert set(found) == set(paths), json.dumps(told, indent=1)[:4000]
    return found


def test_a_trojan_written_during_a_real_upgrade_with_its_md5sums_edited_to_match_stands_out(
    root: Path, settled: Judge
) -> None:
    name, (older, newer) = two_versions(root)
    inside(root, *APT, "install", f"{name}={older}")
    settled("judge")
    victim = inside(root, "sh", "-c", f"dpkg -L {name} | grep bin/ | head -n1").stdout.strip()
    _trojan(root, name, victim)
    inside(root, *APT, "-o", "DPkg::Post-Invoke::=/tmp/trojan.sh", "install", f"{name}={newer}")
    found = _stands_out(told := settled("judge"), victim, f"/var/lib/dpkg/info/{name}.md5sums")
    assert all(one["contradicts"] and "something else under this name" in one["basis"] for one in found.values())
    assert told["folds"][0]["files"] > 1


def test_a_trojan_in_a_package_that_the_run_does_not_touch_stands_out_too(root: Path, settled: Judge) -> None:
    _trojan(root, "grep", "/usr/bin/grep")
    inside(root, *APT, "-o", "DPkg::Post-Invoke::=/tmp/trojan.sh", "install", "cron")
    found = _stands_out(settled("judge"), "/usr/bin/grep", "/var/lib/dpkg/info/grep.md5sums")
    assert "timestomped" in found["/usr/bin/grep"]["kinds"]


def test_an_archive_that_apt_deletes_at_once_is_still_proved_when_it_was_seen_coming(
    root: Path, judge: Judge, tmp_path: Path
) -> None:
    aside = _hide(root, tmp_path, "cron")
    judge("look")
    judge("learn")
    judge("watch")
    for archive in aside:  # as apt's download ends: by one rename
        os.rename(archive, root / "var/cache/apt/archives" / archive.name)
    inside(root, "sh", "-c", "sleep 1; " + " ".join(APT) + " install cron; rm /var/cache/apt/archives/cron*.deb")
    told = judge("judge")
    assert told["rest"] == [] and told["folds"][0]["proved"]


def test_an_archive_that_was_never_seen_leaves_the_run_unproved(root: Path, judge: Judge, tmp_path: Path) -> None:
    aside = _hide(root, tmp_path, "cron")
    judge("look")
    judge("learn")
    for archive in aside:
        os.rename(archive, root / "var/cache/apt/archives" / archive.name)
    inside(root, *APT, "install", "cron")
    for archive in aside:
        (root / "var/cache/apt/archives" / archive.name).unlink()
    told = judge("judge")
    fold = next(one for one in told["folds"] if one["files"])
    assert not fold["proved"] and fold["levels"]["listed"] > 5
    assert ["/usr/sbin/cron", "as the list of cron says, which nobody signed"] in fold["unproved"]


def _hide(root: Path, tmp_path: Path, name: str) -> list[Path]:
    """Take the archives of a package out of apt's folder, to a place on the same file system."""
    place = root / "var/cache/apt/partial-aside"
    place.mkdir()
    found = []
    for archive in (root / "var/cache/apt/archives").glob(f"{name}*.deb"):
        (place / archive.name).write_bytes(archive.read_bytes())
        archive.unlink()
        found.append(place / archive.name)
    assert found
    return found


class Repository:
    """A small signed repository, made by a key of the test's own, that the root has as a source."""

    def __init__(self, root: Path, home: Path) -> None:
        self.root, self.home, self.folder = root, home, root / "srv/repository"
        self.folder.mkdir()
        self.home.mkdir(mode=0o700)
        self._gpg("--quick-gen-key", "Holdfast test <test@example.org>", "rsa2048", "sign", "0")
        ring = self._gpg("--export").stdout
        (root / "usr/share/keyrings/test.gpg").write_bytes(ring)
        source = "deb [signed-by=/usr/share/keyrings/test.gpg] file:/srv/repository ./\n"
        (root / "etc/apt/sources.list.d/test.list").write_text(source)

    def publish(self, version: str, files: dict[str, bytes], postinst: str = "") -> None:
        """Make the package `hf-tool` anew and sign the index."""
        tree = self.home / f"tree-{version}"
        for name, content in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes(content)
            (tree / name).chmod(0o755 if "bin/" in name else 0o644)
        (tree / "DEBIAN").mkdir()
        control = f"Package: hf-tool\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\nDescription: test\n"
        (tree / "DEBIAN/control").write_text(control)
        sums = "".join(f"{hashlib.md5(content).hexdigest()}  {name}\n" for name, content in files.items())
        (tree / "DEBIAN/md5sums").write_text(sums)
        if postinst:
            (tree / "DEBIAN/postinst").write_text(postinst)
            (tree / "DEBIAN/postinst").chmod(0o755)
        archive = self.folder / f"hf-tool_{version}_all.deb"
        run("dpkg-deb", "--root-owner-group", "-b", str(tree), str(archive))
        content = archive.read_bytes()
        extra = f"Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
        with (self.folder / "Packages").open("a") as index:
            index.write(control + extra)
        packages = (self.folder / "Packages").read_bytes()
        digest = f"{hashlib.sha256(packages).hexdigest()} {len(packages)} Packages"
        release = f"Origin: test\nSuite: test\nDate: Sun, 22 Nov 2026 00:00:00 UTC\nSHA256:\n {digest}\n"
        (self.home / "Release").write_text(release)
        (self.folder / "InRelease").unlink(missing_ok=True)
        self._gpg("--clearsign", "-o", str(self.folder / "InRelease"), str(self.home / "Release"))
        inside(self.root, "apt-get", "-q", "update", "-o", "Dir::Etc::sourcelist=sources.list.d/test.list",
               "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0")  # fmt: skip

    def _gpg(self, *words: str):
        import subprocess

        return subprocess.run(
            ["gpg", "--homedir", str(self.home), "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *words],
            capture_output=True,
            check=True,
        )


@pytest.fixture
def repository(root: Path, tmp_path: Path) -> Iterator[Repository]:
    made = Repository(root, tmp_path / "gnupg")
    yield made
    run("gpgconf", "--homedir", str(made.home), "--kill", "gpg-agent", check=False)


FILES = {"usr/bin/hf-tool": b"#!/bin/sh\necho one\n", "usr/share/hf/a": b"a"}


def test_a_repository_whose_key_is_there_from_the_beginning_is_as_good_as_debians(
    root: Path, repository: Repository, judge: Judge
) -> None:
    repository.publish("1.0", FILES)
    judge("look")
    judge("learn")
    inside(root, *APT, "install", "hf-tool")
    told = judge("judge")
    assert told["rest"] == [] and told["folds"][0]["proved"], told
    repository.publish("1.1", {**FILES, "usr/bin/hf-tool": b"#!/bin/sh\necho two\n"})
    inside(root, *APT, "install", "hf-tool")
    told = judge("judge")
    assert "hf-tool 1.0 -> 1.1" in told["folds"][0]["what"] and told["folds"][0]["proved"]
    assert [one for one in told["rest"] if not one["path"].startswith("/srv/repository")] == []


def test_what_a_key_signed_that_came_later_is_unproved_and_the_key_is_named(
    root: Path, settled: Judge, tmp_path: Path
) -> None:
    repository = Repository(root, tmp_path / "gnupg")
    repository.publish("1.0", FILES)
    inside(root, *APT, "install", "hf-tool")
    told = settled("judge")
    assert any("signed by keys that came later" in flaw for flaw in told["learnt"][2])
    fold = next(one for one in told["folds"] if one["files"])
    assert not fold["proved"]
    assert {"/usr/share/keyrings/test.gpg", "/etc/apt/sources.list.d/test.list"} <= {
        one["path"] for one in told["rest"]
    }


def test_an_archive_that_nobody_signed_is_unproved(root: Path, settled: Judge, tmp_path: Path) -> None:
    Repository(root, tmp_path / "gnupg").publish("1.0", FILES)
    (root / "etc/apt/sources.list.d/test.list").unlink()
    (root / "srv/repository/InRelease").unlink()
    for kept in (root / "var/lib/apt/lists").glob("*repository*"):
        kept.unlink()
    settled("judge")
    inside(root, "dpkg", "-i", "/srv/repository/hf-tool_1.0_all.deb")
    told = settled("judge")
    (fold,) = [one for one in told["folds"] if one["files"]]
    assert fold["tool"] == "dpkg" and not fold["proved"] and "hf-tool 1.0 installed" in fold["what"]


ATTACK = r"""
set -e
cp /usr/bin/true /usr/bin/grep                                   # a trojaned binary
touch -r /usr/bin/sed /usr/bin/grep                              # dated as its neighbour
chmod u+s /usr/bin/find                                          # set-uid
printf '[Service]\nExecStart=/usr/bin/nc\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/backdoor.service
ln -s /etc/systemd/system/backdoor.service /etc/systemd/system/multi-user.target.wants/backdoor.service
mkdir -p -m 0700 /root/.ssh; echo 'ssh-ed25519 AAAA evil' > /root/.ssh/authorized_keys
printf '* * * * * root /usr/bin/nc\n' > /etc/cron.d/backdoor
printf '/usr/lib/evil.so\n' > /etc/ld.so.preload; cp /usr/bin/true /usr/lib/evil.so
mv /usr/bin/sort /usr/bin/sort.real; cp /usr/bin/true /usr/bin/sort     # rename tricks
mkdir -p /usr/lib/python3/dist-packages/__pycache__
printf 'evil' > /usr/lib/python3/dist-packages/__pycache__/lsb_release.cpython-311.pyc
sed -i 's/^root:[^:]*:/root::/' /etc/shadow; echo 'eve:x:0:0::/root:/bin/bash' >> /etc/passwd
rm /usr/bin/wc
"""
SEEN = {
    "/usr/bin/grep": "modified",
    "/usr/bin/find": "setuid",
    "/etc/systemd/system/backdoor.service": "created",
    "/etc/systemd/system/multi-user.target.wants/backdoor.service": "created",
    "/root/.ssh/authorized_keys": "created",
    "/etc/cron.d/backdoor": "created",
    "/etc/ld.so.preload": "created",
    "/usr/lib/evil.so": "created",
    "/usr/bin/sort.real": "created",
    "/usr/bin/sort": "modified",
    "/usr/lib/python3/dist-packages/__pycache__/lsb_release.cpython-311.pyc": "created",
    "/etc/shadow": "modified",
    "/etc/passwd": "modified",
    "/usr/bin/wc": "deleted",
}


def test_an_attack_in_the_midst_of_a_real_installation_is_told_completely(root: Path, settled: Judge) -> None:
    script = root / "tmp/attack.sh"
    script.write_text("#!/bin/sh\n" + ATTACK)
    script.chmod(0o755)
    inside(root, *APT, "-o", "DPkg::Post-Invoke::=/tmp/attack.sh", "install", "openssh-server", "cron", "python3-yaml")
    told = settled("judge")
    found = {one["path"]: one for one in told["rest"]}
    missing = {path: kind for path, kind in SEEN.items() if path not in found or kind not in found[path]["kinds"]}
    assert missing == {}, json.dumps(told["folds"], indent=1)
    beside = set(found) - set(SEEN) - {"/usr/lib/python3/dist-packages/__pycache__"}
    assert beside == set()
    assert told["folds"][0]["files"] > 100
