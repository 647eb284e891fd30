"""Settings of what is done against malware: updates, scans, quarantine, the daily proof."""

from typing import Annotated

from msgspec import Meta

from contracts.clamav_options import DRILL, ClamavOptions
from contracts.options import ActionOptions, Clock, Duration, Size
from contracts.record import Record

_Path = Annotated[str, Meta(pattern="^/")]
_Percent = Annotated[float, Meta(ge=0.0, le=100.0)]
SPLAY = "Each host does it up to so much later, always the same, so that not all begin at once."


class UpdateOptions(Record):
    """Bringing ClamAV's signatures up to date when they are not the newest: freshclam runs without rights, beside the one of the system."""

    enabled: Annotated[
        bool, Meta(description="Whether freshclam is run; otherwise it is only found out what is current.")
    ] = True
    at: Annotated[tuple[Clock, ...], Meta(description="Local times of day at which that is looked at.")] = (
        "01:10",
        "07:10",
        "13:10",
        "19:10",
    )
    splay: Annotated[Duration, Meta(description=SPLAY, ge=0.0, le=43200.0)] = 1800.0
    dns: Annotated[bool, Meta(description="Whether the TXT record of current.cvd.clamav.net may be asked for.")] = True
    mirror: Annotated[
        str,
        Meta(
            description="A private mirror, as a relay of the fleet is; empty: what freshclam.conf names.",
            pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$",
            examples=["http://relay.example:8446"],
        ),
    ] = ""
    relay: Annotated[
        bool,
        Meta(
            description="Whether whole databases are kept, so that `holdfast antivirus relay` can serve them to others."
        ),
    ] = False
    timeout: Annotated[Duration, Meta(description="How long freshclam may take.", ge=30.0)] = 1800.0
    memory: Annotated[
        float,
        Meta(
            description="Free memory that is asked for before signatures are loaded, as a multiple of their size on the disk.",
            ge=0.0,
            le=50.0,
        ),
    ] = 6.0


class ScanOptions(Record):
    """The scheduled scan: what changed first, then what was not scanned since the signatures moved."""

    enabled: Annotated[bool, Meta(description="Whether it runs daily.")] = True
    paths: Annotated[tuple[_Path, ...], Meta(description="Files and folders.")] = (
        "/home",
        "/root",
        "/srv",
        "/opt",
        "/usr/local",
        "/var/www",
        "/tmp",
        "/var/tmp",
    )
    excludes: Annotated[tuple[_Path, ...], Meta(description="Files and folders that are left out, with all below.")] = (
        "/var/lib/holdfast",
        "/proc",
        "/sys",
    )
    one_file_system: Annotated[bool, Meta(description="Whether other file systems below the paths are left out.")] = (
        True
    )
    at: Annotated[Clock, Meta(description="Local time of day at which it begins.")] = "03:40"
    splay: Annotated[Duration, Meta(description=SPLAY, ge=0.0, le=43200.0)] = 1800.0
    at_most: Annotated[
        Duration, Meta(description="How long a scheduled scan may take; the next one goes on from there.", ge=1.0)
    ] = 4 * 3600.0
    largest: Annotated[Size, Meta(description="Files over this size are not scanned, and counted.", ge=1 << 10)] = (
        256 << 20
    )
    at_once: Annotated[
        int, Meta(description="Files that clamd is given at once; its MaxQueue must be larger.", ge=1, le=90)
    ] = 64
    cpu: Annotated[
        _Percent,
        Meta(description="It pauses while others wait for processors for more than this share (/proc/pressure)."),
    ] = 80.0
    io: Annotated[_Percent, Meta(description="The same for disks.")] = 60.0
    memory: Annotated[_Percent, Meta(description="The same for memory.")] = 10.0
    pause_at_most: Annotated[
        Duration, Meta(description="How long one scan pauses altogether; then it goes on regardless.", ge=0.0)
    ] = 1800.0


class QuarantineOptions(Record):
    """Moving malicious files out of reach."""

    enabled: Annotated[
        bool, Meta(description="Whether what is found is moved there by itself; a person may always have it done.")
    ] = False
    owned: Annotated[
        bool, Meta(description="Whether by itself also files are moved that a package owns; that can stop a service.")
    ] = False


class ProofOptions(Record):
    """The daily proof: a harmless test file is written into a watched folder, must be found, and the report must reach the console."""

    enabled: Annotated[bool, Meta(description="Whether it is done daily.")] = True
    at: Annotated[Clock, Meta(description="Local time of day.")] = "05:50"
    splay: Annotated[Duration, Meta(description=SPLAY, ge=0.0, le=43200.0)] = 1800.0
    folder: Annotated[
        _Path, Meta(description="The folder; the collector's settings `drill` or `watch` must name it, too.")
    ] = DRILL
    within: Annotated[
        Duration,
        Meta(description="How long until it is found and reported; after that it is missed.", ge=5.0, le=600.0),
    ] = 60.0
    valid: Annotated[Duration, Meta(description="How long a proof counts.", ge=3600.0)] = 172800.0


class AntivirusOptions(ActionOptions):
    """Malware: signatures kept up to date, scans, quarantine, the daily proof."""

    clamav: ClamavOptions = ClamavOptions()
    """Taken from `collectors.antivirus.clamav` unless something is given here (`agent.standing`)."""
    update: UpdateOptions = UpdateOptions()
    scan: ScanOptions = ScanOptions()
    quarantine: QuarantineOptions = QuarantineOptions()
    proof: ProofOptions = ProofOptions()
