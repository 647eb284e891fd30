"""The settings of file integrity: which paths are watched and what of them counts; and the profiles that come with it."""

from typing import Annotated, Literal

from msgspec import Meta

from collectors.integrity.packages.options import PackagesOptions
from contracts.options import CollectorOptions, Duration, Size
from contracts.record import Record

Aspect = Literal["content", "mode", "owner", "attributes"]
Profile = Literal["binaries", "configuration", "keys", "web", "home"]


class Watched(Record):
    """Paths that are watched alike."""

    paths: Annotated[
        tuple[str, ...],
        Meta(
            description="Folders (with all below them) and files; a part of a path may be a pattern (`*`). Links are not followed.",
            examples=[["/srv/app", "/home/*/bin"]],
        ),
    ] = ()
    hash: Annotated[
        Literal["sha256", "blake3", "none"],
        Meta(description="By what contents are compared; blake3 needs the package of that name, none only metadata."),
    ] = "sha256"
    hash_below: Annotated[Size, Meta(description="Larger files are compared by size and time alone.")] = 4 << 30
    aspects: Annotated[
        tuple[Aspect, ...],
        Meta(
            description="What counts as a change, besides coming, going and renaming. Attributes are xattrs and capabilities."
        ),
    ] = ("content", "mode", "owner", "attributes")
    exclude: Annotated[
        tuple[str, ...],
        Meta(
            description="What is passed over, in the patterns of backup excludes (`*.log`, `/srv/app/cache`, `**/tmp`).",
            examples=[["*.swp"]],
        ),
    ] = ()
    diff_below: Annotated[
        Size,
        Meta(description="Of changed text files up to this size the event holds the lines that differ; 0 for never."),
    ] = 0
    no_diff: Annotated[
        tuple[str, ...], Meta(description="Files whose content is neither kept nor shown: secrets. Patterns as above.")
    ] = ()
    one_filesystem: Annotated[bool, Meta(description="Whether other file systems mounted below are left alone.")] = True
    realtime: Annotated[
        bool, Meta(description="Whether changes are seen as they happen, besides the periodic scan.")
    ] = True


class Pace(Record):
    """How a periodic scan gives way. One that a person asks for does not."""

    read_per_s: Annotated[Size, Meta(description="Bytes of contents read per second at most; 0 for no limit.")] = 0
    io: Annotated[
        float,
        Meta(
            description="It pauses while tasks wait for disks more than this share of the time (percent); 100 for never."
        ),
    ] = 40.0
    cpu: Annotated[float, Meta(description="The same for processors.")] = 90.0
    pause_at_most: Annotated[Duration, Meta(description="It pauses no longer than this in all, so that it ends.")] = (
        3600.0
    )
    threads: Annotated[
        int,
        Meta(
            description="How many folders are looked at together; large files are hashed by threads of their own.",
            ge=1,
            le=16,
        ),
    ] = 2


class WebRoots(Record):
    """Which watched files visitors of a web server can reach, and what these are asked."""

    entries: Annotated[
        tuple[str, ...],
        Meta(
            description="Profiles and names of `watch` that are web roots: what is new or changed there is weighed as a web shell."
        ),
    ] = ("web",)
    rules: Annotated[
        str,
        Meta(
            description="Folder of YARA rules that such files are asked of besides (*.yar, *.yara); empty: none. Needs the package yara-x.",
            examples=["/etc/holdfast/yara"],
            pattern="^(/.*)?$",
        ),
    ] = ""


class Options(CollectorOptions):
    """Files that matter: what changed, by whom, and whether anything accounts for it. Off until it is enabled."""

    enabled: Annotated[bool, Meta(description="Whether files are watched at all.")] = False
    every: Annotated[
        float,
        Meta(
            description="Time between two looks at what was found; changes are told at once besides.",
            extra_json_schema={"format": "holdfast-duration"},
            ge=1.0,
        ),
    ] = 60.0
    profiles: Annotated[
        tuple[Profile, ...],
        Meta(
            description="Which of the profiles that come with it are watched; `holdfast integrity show` lists their paths."
        ),
    ] = ("binaries", "configuration", "keys")
    watch: Annotated[
        dict[str, Watched],
        Meta(description="More to watch, by name; the name of a profile replaces that profile."),
    ] = {}
    scan_every: Annotated[
        Duration, Meta(description="Time between two full scans, which find what no notice told.", ge=60.0)
    ] = 6 * 3600.0
    read_again_every: Annotated[
        Duration,
        Meta(
            description="Time between two scans that read every content again, whatever the metadata says.", ge=3600.0
        ),
    ] = 7 * 86400.0
    pace: Annotated[Pace, Meta(description="How a periodic scan gives way.")] = Pace()
    single_events: Annotated[
        int,
        Meta(description="More changes than this at once become one event that lists them all.", ge=0, le=1000),
    ] = 20
    audit_log: Annotated[
        str, Meta(description="The audit log that tells who changed a file; without it the author is unknown.")
    ] = "/var/log/audit/audit.log"
    packages: Annotated[PackagesOptions, Meta(description="How changes that packages bring are told apart.")] = (
        PackagesOptions()
    )
    web_roots: Annotated[WebRoots, Meta(description="Where web shells are looked for.")] = WebRoots()


_CACHES = ("*.swp", "*.swx", "*~", ".#*", "4913")

PROFILES: dict[str, Watched] = {
    "binaries": Watched(
        paths=("/usr", "/boot", "/opt", "/bin", "/sbin", "/lib", "/lib64"),
        exclude=(
            "/usr/share/doc",
            "/usr/share/man",
            "/usr/share/info",
            "/usr/share/locale",
            "/usr/share/icons",
            "/usr/share/mime/*.cache",
            "/usr/src",
            "/usr/local/share/man",
            "/opt/holdfast",
            "/boot/grub/grubenv",
        ),
    ),
    "configuration": Watched(
        paths=("/etc", "/var/spool/cron", "/root/.config/systemd"),
        exclude=(
            *_CACHES,
            "/etc/mtab",
            "/etc/adjtime",
            "/etc/resolv.conf",
            "/etc/lvm/archive",
            "/etc/lvm/backup",
            "/etc/lvm/cache",
            "/etc/cups/subscriptions.conf*",
            "/etc/cups/ppd",
            "/etc/.pwd.lock",
            "/etc/blkid.tab*",
        ),
        diff_below=64 << 10,
        no_diff=(
            "*shadow*",
            "opasswd",
            "*.key",
            "*.pem",
            "*.p12",
            "*.pfx",
            "*.jks",
            "*.keytab",
            "/etc/ssl/private",
            "/etc/ssh/ssh_host_*_key",
            "/etc/wireguard",
            "/etc/ppp/*-secrets",
            "/etc/NetworkManager/system-connections",
            "/etc/letsencrypt/accounts",
            "*secret*",
            "*passwd.*",
            "*password*",
            "*credential*",
            "*token*",
            ".netrc",
            ".pgpass",
            "my.cnf",
            "debian.cnf",
        ),
    ),
    "keys": Watched(
        paths=("/root/.ssh", "/home/*/.ssh", "/root/.gnupg/gpg.conf", "/etc/ssh"),
        exclude=(*_CACHES, "known_hosts*", "/root/.ssh/agent", "/home/*/.ssh/agent"),
        diff_below=64 << 10,
        no_diff=("id_*", "*_key", "*.pem", "*.key", "identity"),
    ),
    "web": Watched(
        paths=("/var/www", "/srv/www", "/srv/http", "/usr/share/nginx/html", "/usr/local/apache2/htdocs"),
        exclude=("cache", "sessions", "*.log", ".git/objects"),
        diff_below=64 << 10,
        no_diff=("wp-config.php", ".env", ".env.*", "*secret*", "*password*", "*.key", "*.pem"),
    ),
    "home": Watched(
        paths=tuple(
            f"{home}/{name}"
            for home in ("/root", "/home/*")
            for name in (
                ".profile",
                ".bashrc",
                ".bash_profile",
                ".bash_login",
                ".bash_logout",
                ".zshrc",
                ".zshenv",
                ".pam_environment",
                ".forward",
                ".config/autostart",
                ".config/systemd",
                ".local/bin",
            )
        ),
        diff_below=64 << 10,
    ),
}
"""What comes with it. Quiet: caches, documentation and what programs rewrite by themselves are left out; secrets are never shown."""


def watched(options: Options) -> dict[str, Watched]:
    """Return what is watched, by name."""
    return {**{name: PROFILES[name] for name in options.profiles}, **options.watch}
