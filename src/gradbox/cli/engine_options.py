"""The options of large runs: shards, and who makes them."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from gradbox.cli.options import count_or_auto
from gradbox.errors import UsageError


@dataclass(frozen=True)
class EngineOptions:
    """How a run of many images is cut, and who makes its parts."""

    shard: Annotated[
        int | None,
        typer.Option(
            help="Write results in parquet parts of N images each; usual for more than 50,000"
            " images (4096), for --engine ray and for an --out in an object store.",
            metavar="N",
            min=1,
        ),
    ] = None
    engine: Annotated[
        str,
        typer.Option(
            help="Who makes the parts: local, this machine; ray, a cluster (extra `ray`).",
            metavar="local|ray",
        ),
    ] = "local"
    processes: Annotated[
        Any,
        typer.Option(
            parser=count_or_auto,
            help="Processes that make parts side by side; auto is one a core for small networks."
            " For --engine ray, at most so many workers.",
            metavar="N|auto",
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of each process for the network.", metavar="N", min=1),
    ] = None
    address: Annotated[
        str | None,
        typer.Option(
            help="The Ray cluster to join, as in ray://HOST:10001 or HOST:6379.", metavar="ADDRESS"
        ),
    ] = None
    allow_listen: Annotated[
        bool,
        typer.Option(
            "--allow-listen",
            help="Let --engine ray without --address start a cluster on this machine, whose ports"
            " listen on all its interfaces; see the documentation.",
        ),
    ] = False

    def running(self) -> dict[str, Any]:
        """The fields of `Running` for these options."""
        return {"engine": self._engine(), "shard": self.shard}

    def _engine(self) -> Any:
        if self.engine == "ray":
            from gradbox.runs.ray_engine import Ray

            return Ray(
                address=self.address,
                allow_listen=self.allow_listen,
                workers=None if self.processes in (None, "auto") else self.processes,
                threads=self.threads,
            )
        if self.engine != "local":
            raise UsageError(f"--engine {self.engine}: use local or ray")
        if self.address is not None or self.allow_listen:
            raise UsageError("--address and --allow-listen are for --engine ray")
        from gradbox.runs.engines import Local

        return Local(processes=self.processes or 1, threads=self.threads)
