"""What an installation costs on disk: gradbox alone, and what each extra adds to it.

    python benchmarks/install_size.py

Counts the files of every installed distribution that gradbox, or one of its extras, requires.
"""

from collections.abc import Iterable
from importlib import metadata

from packaging.requirements import Requirement


def closure(name: str, extras: Iterable[str] = ()) -> set[str]:
    """The distribution, and all that it requires with these extras here."""
    found: set[str] = set()
    waiting = [(name, tuple(extras))]
    seen = set(waiting)
    while waiting:
        one, asked = waiting.pop()
        try:
            requires = metadata.distribution(one).requires or []
        except metadata.PackageNotFoundError:
            print(f"not installed: {one}")
            continue
        found.add(one)
        for requirement in map(Requirement, requires):
            wanted = [{"extra": extra} for extra in ("", *asked)]
            if requirement.marker is None or any(map(requirement.marker.evaluate, wanted)):
                step = (
                    requirement.name.lower().replace("_", "-"),
                    tuple(sorted(requirement.extras)),
                )
                if step not in seen:
                    seen.add(step)
                    waiting.append(step)
    return found


def megabytes(names: Iterable[str]) -> float:
    """The size of their files."""
    paths = {path.locate() for name in names for path in metadata.distribution(name).files or ()}
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def main() -> None:
    core = closure("gradbox")
    print(f"core: {megabytes(core):.0f} MB, {len(core)} distributions")
    gpu = {name for name in core if name.startswith(("nvidia-", "cuda-", "triton"))}
    print(f"  of it PyTorch's GPU libraries: {megabytes(gpu):.0f} MB")
    for extra in metadata.metadata("gradbox").get_all("Provides-Extra") or ():
        more = closure("gradbox", [extra]) - core
        print(f"{extra}: {megabytes(more):.0f} MB more, {', '.join(sorted(more))}")


if __name__ == "__main__":
    main()
