"""Selection: which snapshots a command means: an id or its beginning, "latest", or host, tags and paths, as restic reads them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from actions.backup.errors import Damaged
from actions.backup.repository import Repository
from actions.backup.snapshot import Snapshot
from actions.backup.stores.store import FileType, NotThere, is_name
from contracts.errors import HoldfastError

_MIN_PREFIX = 2


class NoSuchSnapshot(HoldfastError):
    """Nothing, or more than one thing, is meant by these words."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Snapshots of one of the `hosts`, with all tags of one of the `tags`, and with all of the `paths`; an empty field asks nothing.

    The tag list () among `tags` means snapshots without any tag.
    """

    hosts: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()
    paths: tuple[str, ...] = ()

    def matches(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot is meant."""
        return (
            (not self.hosts or snapshot.hostname in self.hosts)
            and (not self.tags or any(_has_tags(snapshot, tags) for tags in self.tags))
            and set(self.paths) <= set(snapshot.paths)
        )


def _has_tags(snapshot: Snapshot, tags: Sequence[str]) -> bool:
    return set(tags) <= set(snapshot.tags) if tags else not snapshot.tags


def select(
    repository: Repository, selection: Selection | None = None, *, trouble: Callable[[Damaged], None] | None = None
) -> list[tuple[str, Snapshot]]:
    """All snapshots that are meant, the oldest first. Those that cannot be read are told to `trouble`; without it Damaged names one."""
    wanted = selection or Selection()
    found = []
    for id in repository.files.names(FileType.SNAPSHOT):
        try:
            snapshot = repository.load_snapshot(id)
        except NotThere:
            continue
        except Damaged as error:
            if trouble is None:
                raise
            trouble(error)
            continue
        if wanted.matches(snapshot):
            found.append((id, snapshot))
    return sorted(found, key=lambda pair: (pair[1].time_ns, pair[0]))


def find_snapshot(
    repository: Repository,
    word: str,
    selection: Selection | None = None,
    *,
    trouble: Callable[[Damaged], None] | None = None,
) -> tuple[str, Snapshot]:
    """The snapshot that `word` names: a whole id, the unique beginning of one, or "latest" (of those selected); NoSuchSnapshot."""
    if word == "latest":
        found = select(repository, selection, trouble=trouble)
        if not found:
            raise NoSuchSnapshot("no snapshot is there that matches", advice="see `holdfast backup list`")
        return found[-1]
    name = resolve(repository.files.names(FileType.SNAPSHOT), word, "snapshot")
    return name, repository.load_snapshot(name)


def resolve(names: Iterable[str], word: str, what: str) -> str:
    """The one name that begins with `word`; NoSuchSnapshot when there is none, or more than one."""
    if is_name(word):
        found = [name for name in names if name == word]
    else:
        found = [name for name in names if len(word) >= _MIN_PREFIX and name.startswith(word)]
    if len(found) == 1:
        return found[0]
    if found:
        raise NoSuchSnapshot(f"{word!r} begins the ids of {len(found)} {what}s", advice="give more digits")
    raise NoSuchSnapshot(
        f"no {what} has the id {word!r}", advice="give at least two hexadecimal digits of its beginning"
    )
