"""Claims of a paper as executable checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from sharpwave_shared.runs import StoredRun


@dataclass(frozen=True)
class Measurement:
    """What a run says about a claim.

    Attributes
    ----------
    shown
        The measured values, with units, as the table shows them.
    reproduced
        Whether they lie in the claim's band.
    values
        The numbers behind it, for `claims.json` and the reports.
    """

    shown: str
    reproduced: bool
    values: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """A statement that a paper makes about its model.

    Attributes
    ----------
    name
        Short identifier.
    statement
        The claim in words.
    source
        Figure, table or text it is taken from.
    published
        What the source reports.
    band
        In which range a run counts as reproducing it.
    measure
        Measures it on a finished run; None if the run does not speak to it.
    """

    name: str
    statement: str
    source: str
    published: str
    band: str
    measure: Callable[[StoredRun], Measurement | None]


Verdict = tuple[Claim, Measurement]


def check_claims(claims: Sequence[Claim], run: StoredRun) -> list[Verdict]:
    """Measure every claim that the run speaks to."""
    measured = ((claim, claim.measure(run)) for claim in claims)
    return [(claim, m) for claim, m in measured if m is not None]


def claims_table(verdicts: Sequence[Verdict], title: str) -> Table:
    """Show verdicts as a table: claim, source, expected, measured, reproduced or not."""
    table = Table(title=title, show_lines=True)
    for heading in ("claim", "published", "counts as reproduced", "measured", "reproduced"):
        table.add_column(heading, overflow="fold")
    for claim, measurement in verdicts:
        verdict = Text("yes", "green") if measurement.reproduced else Text("no", "red")
        statement = Text.assemble(claim.statement, (f" ({claim.source})", "dim"))
        # As Text, because a band such as [low, high] would be taken for markup.
        cells = map(Text, (claim.published, claim.band, measurement.shown))
        table.add_row(statement, *cells, verdict)
    return table


def claims_record(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Give verdicts as JSON values, for `claims.json`."""
    return [
        {
            "name": claim.name,
            "statement": claim.statement,
            "source": claim.source,
            "published": claim.published,
            "band": claim.band,
            "measured": measurement.shown,
            "values": measurement.values,
            "reproduced": measurement.reproduced,
        }
        for claim, measurement in verdicts
    ]
