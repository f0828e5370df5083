"""Build the distributions, try each in a bare environment, list what it is made of.

    python tools/release.py build
    python tools/release.py try --python python3.12
    python tools/release.py sbom

`build` fills dist/, `try` and `sbom` take what is there; docs/releasing.md says when.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
LARGEST_WHEEL = 2_500_000
"""Bytes; nearly half is the classifier of generated scenes."""


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What the command prints on its standard output; it is shown before it runs."""
    print("$", *command, flush=True)
    done = subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def build(root: Path = ROOT, *options: str) -> tuple[Path, Path]:
    """The sdist of a checkout and the wheel made from it, alone in the dist/ of that checkout."""
    dist = root / "dist"
    for old in dist.glob("gradbox-*"):
        old.unlink()
    run(sys.executable, "-m", "build", "--outdir", dist, *options, root)
    (sdist,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    print(run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel), end="")
    check_wheel(wheel)
    return sdist, wheel


def check_wheel(wheel: Path) -> None:
    """Refuse a wheel with more in it than the package, or a large one."""
    with zipfile.ZipFile(wheel) as content:
        names = content.namelist()
    package = ("gradbox/", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info/")
    if strangers := [name for name in names if not name.startswith(package)]:
        sys.exit(f"{wheel.name} holds {strangers[0]}, which is no part of the package")
    if wheel.stat().st_size > LARGEST_WHEEL:
        sys.exit(f"{wheel.name} has {wheel.stat().st_size:,} bytes, more than {LARGEST_WHEEL:,}")


def version_of(distribution: Path) -> str:
    """The version in the name of a wheel or sdist."""
    return distribution.name.removesuffix(".tar.gz").split("-")[1]


def bare(distribution: Path, python: str, folder: Path) -> Path:
    """A new environment with the distribution, what it requires and nothing else; its `bin`."""
    run(python, "-m", "venv", "--without-pip", folder)
    binaries = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--python", binaries / "python")
    run(*pip, "install", "--quiet", "-c", ROOT / "constraints.txt", distribution)
    run(*pip, "check")
    return binaries


def try_out(distribution: Path, python: str) -> None:
    """Install it in a bare environment, draw 20 scenes there and locate what is on them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        gradbox = bare(distribution, python, folder / "bare") / "gradbox"
        said = run(gradbox, "--version", cwd=folder).strip()
        if said != f"gradbox {version_of(distribution)}":
            sys.exit(f"{distribution.name} calls itself {said!r}")
        run(gradbox, "scenes", "20", "--out", "scenes", cwd=folder)
        model = ("--model", "gradbox/scenes")
        run(gradbox, "locate", "scenes/images", *model, "--out", "found", cwd=folder)
        lines = (folder / "found/predictions.jsonl").read_text("utf-8").splitlines()
        located = sum(bool(json.loads(line).get("boxes")) for line in lines)
    if located != 20:
        sys.exit(f"{distribution.name}: boxes on {located} of 20 scenes")
    print(f"{distribution.name}: boxes on 20 of 20 scenes with {python}")


def sbom(wheel: Path, python: str) -> Path:
    """CycloneDX, of a bare environment: gradbox and all that `pip install gradbox` brings."""
    target = wheel.parents[1] / f"build/gradbox-{version_of(wheel)}.cdx.json"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        binaries = bare(wheel, python, Path(name))
        tool = (sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible")
        run(*tool, "--output-file", target, binaries / "python")
    listed = target.read_text("utf-8")
    target.write_text(listed.replace(wheel.as_uri(), wheel.name), "utf-8")  # wherever it was built
    print(target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=("build", "try", "sbom"))
    parser.add_argument("--python", default=sys.executable, help="that of the bare environment")
    options = parser.parse_args()
    if options.job == "build":
        build()
        return
    made = sorted(DIST.glob("gradbox-*.*"))
    if len(made) != 2:
        sys.exit(f"{DIST} holds {len(made)} distributions, not 2: python tools/release.py build")
    if options.job == "sbom":
        sbom(*DIST.glob("*.whl"), python=options.python)
        return
    for distribution in made:
        try_out(distribution, options.python)


if __name__ == "__main__":
    main()
