"""Run every benchmark, one after another, each in its own process; exits 1 when one does not reach its figure."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    failed = []
    for path in sorted(HERE.glob("*.py")):
        if path.name == Path(__file__).name or path.name.startswith("_"):
            continue
        print(f"== {path.name}", flush=True)
        if subprocess.run([sys.executable, str(path)], cwd=HERE.parent, check=False).returncode != 0:
            failed.append(path.name)
    print(f"not reached: {', '.join(failed)}" if failed else "all reached")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
