"""Store the verdicts of runs, and write the reproduction report from what is stored.

    uv run python docs/reproduction.py RUN_DIR "Figure 1: what it is"    store a run's verdicts
    uv run python docs/reproduction.py                                   write the report

Several RUN_DIR are the seeds of one experiment, which are judged together.
`docs/results/PACKAGE/*.json` holds the verdicts of one run each, `notes.md` beside them what was
learnt about the release. `docs/reproduction.md` is made of nothing else.
"""

import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharpwave_shared import open_run
from sharpwave_shared.claims import show_means, verdict_values
from sharpwave_shared.files import atomic_path, json_values, write_json
from sharpwave_shared.results import Run, unite_seeds
from sharpwave_shared.statistics import wilson

DOCS = Path(__file__).parent
REPORT, RESULTS = DOCS / "reproduction.md", DOCS / "results"
PACKAGES = (
    "sleep-replay",
    "impression-learning",
    "hybrid-plasticity",
    "rnn-reactivation",
    "synaptic-consolidation",
)
WHERE_IT_RAN = (
    "--out",
    "--data-dir",
    "--resume",
    "--force",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
    "--debug",
)
"""Options that say nothing of what was computed."""
WITH_VALUE = ("--out", "--data-dir")

HEAD = """# Reproduction report

What each paper claims, what counts as reproduced, and what the runs of this project measured. It is
written by `uv run python docs/reproduction.py` from the verdicts stored in `docs/results/`;
`COMMAND verify RUN_DIR` judges any other run. Where a run has several seeds, every claim is judged
on all of them together (the verdict) and on each alone (the share that reproduces, with its Wilson
interval of 95 %); means over seeds have bootstrap intervals of 95 % (of two or three seeds, their
range).
"""


def store(directories: Sequence[Path], title: str) -> Path:
    """Store the verdicts of a finished run, or of runs that are seeds of one; give the file."""
    runs = [open_run(directory) for directory in directories]
    run, record = runs[0], runs[0].record
    for directory, other in zip(directories, runs, strict=True):
        if other.record.quick or other.swept:
            raise SystemExit(f"{directory}: expected a run at full size that is no sweep")
        if other.experiment != run.experiment:
            raise SystemExit(f"{directory}: its parameters are others than {directories[0]}'s")
    if len(runs) > 1:
        run = Run.computed(run.experiment, record, unite_seeds([other.data for other in runs]))
    content = {
        "title": title,
        "command": command(run),
        "seeds": [int(seed) for seed in run.data.get("seed", record.seeds)],
        "machine": f"{os.cpu_count()} cores, {record.device}",
        "libraries": {
            name: record.libraries[name] for name in ("python", "torch") if name in record.libraries
        },
        "data": (record.dataset or {}).get("name"),
        "ended": record.ended,
        "minutes": round(sum(other.record.wall_time_s for other in runs) / 60, 1),
        "claims": verdict_values(run.verify()),
    }
    slug = re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-.")
    path = RESULTS / record.package / f"{slug}.json"
    write_json(path, json_values(content))
    return path


def command(run: Run) -> str:
    """Give the command line of a run, without where it ran and lies; or what Python called."""
    name, *rest = run.record.command_line or [""]
    if Path(name).name != run.record.package:
        return repr(run.experiment)
    words = iter(rest)
    kept = [run.record.package]
    for word in words:
        name, value = word.partition("=")[::2]
        if name not in WHERE_IT_RAN:
            path = value or word
            kept.append(word.replace(path, "RUN_DIR") if Path(path).is_absolute() else word)
        elif name in WITH_VALUE and not value:
            next(words, None)
    return shlex.join(kept)


def report() -> str:
    """Write the report from what is stored."""
    parts = [HEAD]
    for package in PACKAGES:
        parts.append(f"## {package}\n")
        for path in sorted((RESULTS / package).glob("*.json")):
            content = json.loads(path.read_text())
            if isinstance(content, dict) and "title" in content:
                parts.append(_of_run(content))
        notes = RESULTS / package / "notes.md"
        if notes.exists():
            parts.append(notes.read_text())
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def _of_run(content: dict[str, Any]) -> str:
    seeds = content["seeds"]
    facts = [
        f"seed {seeds[0]}: one seed" if len(seeds) == 1 else f"{len(seeds)} seeds",
        f"{content['minutes']:g} min" if content.get("minutes") else None,
        content["machine"],
        f"torch {content['libraries']['torch']}" if content.get("libraries") else None,
        f"data {content['data']}" if content.get("data") else None,
        content.get("note"),
    ]
    rows = [
        "| Claim | Published | Counts as reproduced | Measured | Reproduced |",
        "| --- | --- | --- | --- | --- |",
        *map(_row, content["claims"]),
    ]
    return "\n".join(
        [
            f"### {content['title']}",
            "",
            f"```\n{content['command']}\n```",
            "",
            f"{'; '.join(fact for fact in facts if fact)}.",
            "",
            *rows,
        ]
    )


def _row(claim: dict[str, Any]) -> str:
    word = {True: "yes", False: "**no**", None: "not judged"}[claim["reproduced"]]
    measured = claim["measured"]
    if claim.get("seeds_measured", 1) > 1:
        holding, of = claim["seeds_holding"], claim["seeds_measured"]
        _, low, high = wilson(holding, of)
        word += f"; {holding} of {of} seeds alone ({low:.2f} to {high:.2f})"
    if claim.get("over_seeds"):
        measured += f"\nmeans: {show_means(claim['over_seeds'])}"
    cells = [
        f"{claim['statement']} ({claim['source']})",
        claim["published"],
        claim["band"],
        measured,
        word,
    ]
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return text.strip().replace("|", "\\|").replace("\n", "<br>")


def main() -> None:
    """Store a run if one is named; write the report."""
    arguments = sys.argv[1:]
    if len(arguments) == 1:
        raise SystemExit(__doc__)
    if arguments:
        *directories, title = arguments
        print(store([Path(directory) for directory in directories], title))
    with atomic_path(REPORT) as path:
        path.write_text(report())


if __name__ == "__main__":
    main()
