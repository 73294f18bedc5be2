"""The command `sharpwave`: what concerns all packages."""

import sys
import textwrap
from typing import Annotated

import typer

from sharpwave_shared.app import installed_apps
from sharpwave_shared.errors import show
from sharpwave_shared.experiment import Experiment
from sharpwave_shared.parameters import all_fields, describe

WIDTH = 80

app = typer.Typer(
    name="sharpwave",
    help="What concerns all packages of Sharpwave.",
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.callback()
def _main() -> None:
    pass


@app.command("list")
def list_experiments(
    package: Annotated[
        str | None, typer.Argument(help="Only this package.", show_default=False)
    ] = None,
) -> None:
    """List the experiments of all installed packages, with their parameters."""
    found = installed_apps()
    if package is not None and package not in found:
        print(f"error: {package}: no package; expected one of {', '.join(found)}", file=sys.stderr)
        raise typer.Exit(2)
    for name, installed in found.items():
        if package in (None, name):
            _tell(0, f"{name}: {installed.help}")
            for experiment in installed.experiments.values():
                _tell_experiment(experiment)


def _tell_experiment(experiment: type[Experiment]) -> None:
    first = (experiment.__doc__ or "").strip().partition("\n")[0]
    _tell(2, f"{experiment.name}: {first}")
    for name, field in all_fields(experiment).items():
        default = field.get_default(call_default_factory=True)
        value = "" if field.is_required() else f" = {show(default)}"
        help = " ".join((field.description or "").split())
        _tell(4, f"{name}{value}: {describe(field)}. {help}")


def _tell(indent: int, text: str) -> None:
    typer.echo(
        textwrap.fill(
            text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)
        )
    )


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
