"""The experiments as commands: `python -m chaos overload --beds 2000 --seconds 1800`."""

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chaos.overload import run_overload

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)

FolderOption = Annotated[
    Path | None, typer.Option(help="where logs and data go; a temporary folder if not given")
]


@app.callback()
def main() -> None:
    """Hurt real parts on purpose, and count what is lost."""


@app.command()
def overload(
    beds: Annotated[int, typer.Option(min=1, help="beds, one frame a second each")] = 2000,
    seconds: Annotated[int, typer.Option(min=1, help="length of the run")] = 1800,
    folder: FolderOption = None,
) -> None:
    """Let many beds speak for a long time; ends with 1 if a frame is missing."""
    with tempfile.TemporaryDirectory(prefix="ctg-chaos-") as scratch:
        result = run_overload(folder or Path(scratch), beds=beds, seconds=seconds)
    for name, value in {**asdict(result), "lost": result.lost}.items():
        typer.echo(f"{name:30} {value:,.1f}" if isinstance(value, float) else f"{name:30} {value:,}")
    raise typer.Exit(1 if result.lost else 0)


if __name__ == "__main__":
    app()
