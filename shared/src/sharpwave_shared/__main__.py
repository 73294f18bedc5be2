"""The command `sharpwave`: what concerns all packages."""

from typing import Annotated

import typer

from sharpwave_shared.app import describe, installed_apps

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
    for name, found in installed_apps().items():
        if package not in (None, name):
            continue
        typer.echo(f"{name}: {found.help}")
        for experiment in found.experiments.values():
            first = (experiment.__doc__ or "").strip().partition("\n")[0]
            typer.echo(f"  {experiment.name}: {first}")
            for parameter, field in experiment.model_fields.items():
                default = "required" if field.is_required() else f"default {field.default!r}"
                typer.echo(f"    {parameter} ({default}): {describe(field)}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
