"""Every command that README and docs name exists, and takes the options that they name."""

import argparse
import importlib
import re
import shlex
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pipelines.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/**/*.md")])
COMMAND = re.compile(r"^(?:\.venv/bin/)?(medloop|make|python -m (?:benchmarks|docs)\.)(?![\w/-])?")
END = re.compile(r"\s#|\s{2,}|\s[|&;<>]|[;<>]|`|\)$|\s—|,\s")
"""What follows a command on its line: a comment, a column, another command."""


def snippets(text: str) -> Iterator[str]:
    """Lines of fenced blocks, and code in running text."""
    fenced = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    for block in fenced.findall(text):
        joined = block.replace("\\\n", " ")
        yield from (line.strip().removeprefix("$ ") for line in joined.splitlines()[1:-1])
    for code in re.findall(r"`([^`]+)`", fenced.sub("", text)):
        yield " ".join(code.split())


def commands(page: Path) -> list[str]:
    """The commands of ours that a page names, as they are written."""
    found = []
    for snippet in snippets(page.read_text("utf-8")):
        for part in re.split(r"&&|;|\|\|", snippet):
            part = re.sub(r"^(?:time|cd \S+|[A-Z_]+=\S*)\s+", "", part.strip())
            if COMMAND.match(part):
                found.append(END.split(part)[0].strip())
    return found


def spelled_out(command: str) -> Iterator[list[str]]:
    """The words of a command, one list for each choice of ``a|b`` in it; placeholders stay."""
    plain = re.sub(r"[\[\]()]|…|\.\.\.", " ", command).strip()
    words = shlex.split(re.sub(r"\s*\|\s*", "|", plain))
    yield from (list(choice) for choice in product(*(word.split("|") for word in words)))


ALL = sorted({(page.relative_to(ROOT).as_posix(), c) for page in PAGES for c in commands(page)})


def test_there_are_commands_to_check() -> None:
    assert len(ALL) > 100


def test_documented_medloop_commands_parse() -> None:
    wrong = [
        f"{page}: {command}: {problem}"
        for page, command in ALL
        if command.split()[0].endswith("medloop")
        for words in spelled_out(command)
        if (problem := _medloop_problem(words[1:]))
    ]
    assert wrong == []


@pytest.mark.parametrize("words", [["retrain", "x", "--nope"], ["nothing"], ["drift", "a", "b"]])
def test_an_undocumented_spelling_is_noticed(words: list[str]) -> None:
    assert _medloop_problem(words)


def test_documented_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    settings = set(re.findall(r"\$\(([A-Z]+)\)|\b([A-Z]+) \?=", makefile))
    known = {name for pair in settings for name in pair if name}
    wrong = []
    for page, command in ALL:
        first, *words = command.split()
        if first != "make":
            continue
        for word in words:
            name, equals, _ = word.partition("=")
            if name.strip("[]…") not in (known if equals else targets):
                wrong.append(f"{page}: {command}: {name}")
    assert wrong == []


def test_documented_benchmarks_take_the_options_they_are_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wrong = []
    for page, command in ALL:
        if "python -m" not in command:
            continue
        for words in spelled_out(command):
            module, *arguments = words[2:]
            if problem := _module_problem(module, arguments, monkeypatch):
                wrong.append(f"{page}: {command}: {problem}")
    assert wrong == []


def _medloop_problem(words: list[str]) -> str | None:
    """Why the command line refuses these words, placeholders counted as values."""
    command: Any = typer.main.get_command(app)
    context = command.context_class(command, info_name="medloop")
    while hasattr(command, "get_command") and words and not words[0].startswith("-"):
        name, words = words[0], words[1:]
        found = command.get_command(context, name)
        if found is None:
            return f"there is no command {name}"
        command, context = found, found.context_class(found, info_name=name, parent=context)
    try:
        _, left, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"too many arguments: {left}" if left else None


class _ParsedError(Exception):
    """The options were understood; nothing is to run."""


def _module_problem(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Why a module refuses its arguments; where the docs give none, it may want some."""
    real = argparse.ArgumentParser.parse_args

    def parse(parser: argparse.ArgumentParser, args: list[str] | None = None) -> None:
        real(parser, args)
        raise _ParsedError

    def refuse(_: argparse.ArgumentParser, message: str) -> None:
        raise argparse.ArgumentTypeError(message)

    module = importlib.import_module(name)
    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "parse_args", parse)
        patched.setattr(argparse.ArgumentParser, "error", refuse)
        patched.setattr(sys, "argv", [name, *arguments])
        try:
            module.main()
        except _ParsedError:
            return None
        except argparse.ArgumentTypeError as refused:
            wanting = not arguments and "arguments are required" in str(refused)
            return None if wanting else str(refused)
    return "it parses no options"
