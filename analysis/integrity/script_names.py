"""Says whether a maintainer script names a path, also by a variable that it sets to a plain text (`$dir/file`). Pure."""

import re

_ASSIGNED = re.compile(r"""^\s*([A-Za-z_]\w*)=(["']?)(/[^"'\s;|&$`]*)\2\s*$""", re.MULTILINE)


def names(script: str, path: str) -> bool:
    """Say whether a script has the path as a whole word; only variables that hold a path from the root are looked into."""
    if _has(script, path):
        return True
    for name, _, value in _ASSIGNED.findall(script):
        if path.startswith(value) and _has(re.sub(rf"\$(?:{name}\b|{{{name}}})", lambda _, v=value: v, script), path):  # type: ignore[misc]
            return True
    return False


def _has(script: str, path: str) -> bool:
    start = script.find(path)
    while start >= 0:
        end = start + len(path)
        if end == len(script) or not (script[end].isalnum() or script[end] in "-_./"):
            return True
        if script[end : end + 1] == "/" and not script[end + 1 : end + 2].isalnum():
            return True
        start = script.find(path, start + 1)
    return False
