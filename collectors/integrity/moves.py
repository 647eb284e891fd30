"""Where files are that the kernel said were renamed, however often: so that the name that is gone and the one that came are seen together.

Notices are hints here, as everywhere: whether two names are one file, inode, device and content say (`analysis.integrity.compare`).
"""

from collections.abc import Collection

Name = tuple[bytes, bytes]
"""A folder, and a name in it."""

MOST = 2000
"""So many names from which files were renamed are remembered; the oldest are forgotten first."""


class Moves:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._at: dict[Name, Name] = {}
        self._origins: dict[Name, dict[Name, None]] = {}
        self._leaving: dict[int, tuple[Name, dict[Name, None]]] = {}

    def left(self, name: Name, cookie: int) -> None:
        """A file was taken away from a name; where to, a notice with the same cookie may say."""
        if len(self._leaving) >= MOST:
            self._leaving.clear()
        self._leaving[cookie] = name, self._taken(name)

    def came(self, name: Name, cookie: int) -> None:
        """A file was put under a name; what stood there before is gone."""
        self._taken(name)
        former, origins = self._leaving.pop(cookie, (None, {}))
        if former is None:
            return  # from where nobody watches
        for each in (*origins, former):
            if each != name:
                self._put(each, name)
        while len(self._at) > MOST:
            self._forget(next(iter(self._at)))

    def gone(self, name: Name) -> None:
        """What stood under a name is there no more."""
        self._taken(name)

    def moved(self, former: bytes, path: bytes) -> None:
        """A folder, with all below it, has another path."""

        def now(name: Name) -> Name:
            folder = name[0]
            is_below = folder == former or folder.startswith(former + b"/")
            return (path + folder[len(former) :], name[1]) if is_below else name

        pairs = [(now(origin), now(place)) for origin, place in self._at.items()]
        self._at, self._origins = {}, {}
        for origin, place in pairs:
            self._put(origin, place)

    def dropped(self, prefixes: Collection[bytes]) -> None:
        """These folders, and all below them, are gone."""
        below = tuple(prefix + b"/" for prefix in prefixes)
        for origin, place in list(self._at.items()):
            if any(folder in prefixes or folder.startswith(below) for folder in (origin[0], place[0])):
                self._forget(origin)

    def other_names(self, name: Name) -> list[Name]:
        """Return the names of the file that is under a name, and of the one that was there before: where they are, and where they were."""
        found = list(self._origins.get(name, ()))
        place = self._at.get(name)
        return found if place is None else [*found, place, *(each for each in self._origins[place] if each != name)]

    def _put(self, origin: Name, place: Name) -> None:
        self._forget(origin)
        self._at[origin] = place
        self._origins.setdefault(place, {})[origin] = None

    def _forget(self, origin: Name) -> None:
        place = self._at.pop(origin, None)
        if place is not None:
            del self._origins[place][origin]
            if not self._origins[place]:
                del self._origins[place]

    def _taken(self, name: Name) -> dict[Name, None]:
        """Take out what stood under a name; returns where it was before."""
        origins = self._origins.pop(name, {})
        for each in origins:
            del self._at[each]
        return origins
