"""What lies where: settings, scheduled work, units, the choice of packages, homes, data of programs and web sites."""

from collectors.holdings.reading import Reading
from contracts.subjects.holdings import Holding

PART = "places"
_SCHEDULED = ("/var/spool/cron/crontabs", "/var/spool/cron", "/var/spool/cron/atjobs", "/var/spool/at")
_UNITS = ("/etc/systemd/system", "/usr/local/lib/systemd/system")
_PACKAGES = (("dpkg", "/var/lib/dpkg/status"), ("rpm", "/var/lib/rpm"), ("rpm", "/usr/lib/sysimage/rpm"))
_LOCAL = ("bin", "etc", "lib", "sbin", "share", "src", "games", "include")
_NO_DATA = frozenset(
    [
        *(
            "AccountsService",
            "NetworkManager",
            "PackageKit",
            "alternatives",
            "apt",
            "apt-xapian-index",
            "aptitude",
            "aspell",
            "authselect",
        ),
        *(
            "boltd",
            "bluetooth",
            "chrony",
            "cloud",
            "colord",
            "command-not-found",
            "containerd",
            "containers",
            "dbus",
            "debtags",
            "dhclient",
        ),
        *(
            "dhcp",
            "dhcpcd",
            "dictionaries-common",
            "dkms",
            "dnf",
            "docker",
            "dpkg",
            "emacsen-common",
            "firewalld",
            "fwupd",
            "games",
            "gems",
        ),
        *(
            "geoclue",
            "ghostscript",
            "git",
            "grub",
            "gssproxy",
            "hyphen",
            "initramfs-tools",
            "initscripts",
            "insserv",
            "ispell",
            "kdump",
        ),
        *(
            "landscape",
            "libuuid",
            "libvirt",
            "lightdm",
            "locales",
            "logrotate",
            "lxc",
            "lxd",
            "machines",
            "man-db",
            "misc",
            "mlocate",
            "nfs",
        ),
        *(
            "nssdb",
            "ntpsec",
            "os-prober",
            "pam",
            "plocate",
            "plymouth",
            "polkit-1",
            "portables",
            "private",
            "python",
            "rpm",
            "rpm-state",
        ),
        *(
            "rsyslog",
            "selinux",
            "sgml-base",
            "shells.state",
            "shim-signed",
            "snapd",
            "snmp",
            "sudo",
            "swcatalog",
            "systemd",
            "tpm",
            "tuned",
        ),
        *(
            "ubuntu-advantage",
            "ubuntu-release-upgrader",
            "ucf",
            "udisks2",
            "unattended-upgrades",
            "update-manager",
            "update-notifier",
        ),
        *(
            "upower",
            "usb_modeswitch",
            "usbutils",
            "vim",
            "wtmpdb",
            "xfonts",
            "xkb",
            "xml-core",
            "yum",
            "holdfast",
            "kubelet",
            "nerdctl",
        ),
        *(
            "incus",
            "fail2ban",
            "sslh",
            "urandom",
            "color",
            "app-info",
            "php",
            "gdm3",
            "sddm",
            "bird",
            "binfmts",
            "ieee-data",
            "pki",
        ),
    ]
)
"""Folders of /var/lib that packages make anew, or that another part looks at."""
_DATABASES = frozenset({"postgresql", "mysql", "mariadb", "redis", "valkey", "mongodb", "mongo"})
_FIRST_USER, _NOBODY = 1000, 65534


def look(reading: Reading) -> list[Holding]:
    """Every place that holds something."""
    return [
        *_settings(reading),
        *(_holding("home", path) for path in _homes(reading)),
        *(_holding("data", path) for top in ("/srv", "/var/www", "/opt") for path in reading.folders(top)),
        *(_holding("data", path) for path in _loose(reading)),
        *_state(reading),
    ]


def _holding(kind: str, path: str, detail: str = "") -> Holding:
    return Holding(part=PART, kind=kind, name=path, path=path, detail=detail)


def _settings(reading: Reading) -> list[Holding]:
    found = [_holding("settings", "/etc")] if reading.names("/etc") else []
    for path in _SCHEDULED:
        jobs = [name for name in reading.names(path) if reading.is_file(f"{path}/{name}") and not name.startswith(".")]
        if jobs:
            found.append(_holding("scheduled", path, f"of {', '.join(jobs[:5])}"))
    for path in _UNITS:
        own = [name for name in reading.names(path) if reading.is_file(f"{path}/{name}")]
        if own:
            found.append(_holding("units", path, ", ".join(own[:5])))
    for name in _LOCAL:
        if reading.is_dir(path := f"/usr/local/{name}") and reading.names(path) and _holds_files(reading, path):
            found.append(_holding("settings", path, "programs and files of the administrator"))
    for manager, path in _PACKAGES:
        if reading.stat(path) is not None:
            found.append(Holding(part=PART, kind="packages", name=f"packages of {manager}", path=path, product=manager))
            break
    return found


def _holds_files(reading: Reading, path: str, depth: int = 2) -> bool:
    for name in reading.names(path):
        below = f"{path}/{name}"
        if reading.is_file(below) or (depth and reading.is_dir(below) and _holds_files(reading, below, depth - 1)):
            return True
    return False


def _homes(reading: Reading) -> list[str]:
    """Homes of people, by /etc/passwd and by what lies in /home; one that is empty holds nothing."""
    homes = {"/root"}
    for line in reading.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if (
            len(fields) > 5
            and fields[2].isdigit()
            and _FIRST_USER <= int(fields[2]) < _NOBODY
            and fields[5].startswith("/")
        ):
            homes.add(fields[5].rstrip("/") or "/")
    homes |= {f"/home/{name}" for name in reading.names("/home")}
    return sorted(home for home in homes - {"/", "/nonexistent"} if reading.is_dir(home) and reading.names(home))


def _loose(reading: Reading) -> list[str]:
    """The places themselves where files lie in them, not only in folders."""
    return [
        top
        for top in ("/srv", "/var/www", "/opt")
        if any(reading.is_file(f"{top}/{name}") for name in reading.names(top))
    ]


def _state(reading: Reading) -> list[Holding]:
    skipped = _NO_DATA | _DATABASES
    return [
        _holding("data", path, "state of a program")
        for path in reading.folders("/var/lib")
        if path.rpartition("/")[2] not in skipped and _holds_files(reading, path)
    ]
