"""What a command tells: on which stream, in which form, and what is kept."""

import io

import pytest
from rich.console import Console

from sharpwave_shared import reporting
from sharpwave_shared.reporting import Reporter


@pytest.fixture
def clock(monkeypatch):
    """Give a list whose element is the time, in seconds."""
    now = [100.0]
    monkeypatch.setattr(reporting.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, "a step\nwarning: odd\n"),
        ({"verbose": True}, "a step\na detail\nwarning: odd\n"),
        ({"quiet": True}, "warning: odd\n"),
    ],
)
def test_lines(how, expected, capsys):
    reporter = Reporter(**how)
    reporter.say("a step")
    reporter.detail("a detail")
    reporter.warn("odd")
    reporter.out.print("a result")
    captured = capsys.readouterr()
    assert captured.err == expected
    assert captured.out == "a result\n"
    assert reporter.warnings == ["odd"]


@pytest.mark.parametrize(
    "message", ["a/b[red]c[/red]", "range [a, b]", ":warning: x:on:y", "x" * 500, "[/]", "\\[bold]"]
)
def test_messages_are_shown_as_they_are(message, capsys):
    reporter = Reporter(verbose=True)
    reporter.say(message)
    reporter.detail(message)
    reporter.warn(message)
    assert capsys.readouterr().err.splitlines() == [message, message, f"warning: {message}"]


def test_log_keeps_what_is_not_shown(tmp_path, capsys):
    reporter, path = Reporter(quiet=True), tmp_path / "log.txt"
    reporter.say("before")
    with path.open("w") as log, reporter.log_to(log):
        reporter.detail("during")
        assert "during" in path.read_text(), "a kill loses no line"
        reporter.warn("odd")
    reporter.say("after")
    lines = path.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["before", "during", "warning: odd"]
    assert capsys.readouterr().err == "warning: odd\n"


def test_plain_progress(clock, capsys):
    """Not on a terminal: a line at most every five seconds, and one at the end."""
    with Reporter().progress("learning", 100, completed=20) as advance:
        for _ in range(80):
            clock[0] += 0.25
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "learning: 40/100, 4.0/s, 15 s left",
        "learning: 60/100, 4.0/s, 10 s left",
        "learning: 80/100, 4.0/s, 5 s left",
        "learning: 100/100, 4.0/s, 0 s left",
    ]


def test_quiet_progress(clock, capsys):
    with Reporter(quiet=True).progress("learning", 10) as advance:
        clock[0] += 100
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_on_a_terminal():
    reporter = Reporter()
    terminal = io.StringIO()
    reporter.err = Console(file=terminal, force_terminal=True, width=100)
    with reporter.progress("learning [old] memories", 10, completed=4) as advance:
        advance(3)
        reporter.say("a step")
        advance(3)
    shown = terminal.getvalue()
    assert "learning [old] memories" in shown
    assert "10/10" in shown
    assert "/s" in shown
    assert "a step\n" in shown
