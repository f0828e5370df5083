"""Environments of their own, below `build/labelling`, for programs that need other versions.

`python tests/labelling/environments.py NAME` makes the one of `NAME.txt`, whose versions stand
before those of the environment that runs this, and prints its Python.
"""

import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def python_of(program: str) -> Path:
    """The Python of an environment, which is made where it is not there or out of date."""
    wanted = (HERE / f"{program}.txt").read_text("utf-8")
    folder = ROOT / "build" / "labelling" / program
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if installed.exists() and installed.read_text("utf-8") == wanted:
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    site = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    below = (sysconfig.get_path("purelib"), ROOT / "src")
    (site / "below.pth").write_text("".join(f"{path}\n" for path in below), "utf-8")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
    subprocess.run([*pip, "-r", HERE / f"{program}.txt"], check=True, stdout=sys.stderr)
    installed.write_text(wanted, "utf-8")
    return python


if __name__ == "__main__":
    print(python_of(sys.argv[1]))
