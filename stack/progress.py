"""How the stack shows that it is at work: live lines on a terminal, plain ones elsewhere."""

import time

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

QUIET_SECONDS = 15.0
"""How often a part at work says so where the output is no terminal."""


class PartProgress:
    """One line a part: what it is at, and how long already. A context manager; used by threads.

    Args:
        console: where to show it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(finished_text="[green]✓[/green]"),
            TextColumn("{task.fields[part]:<9}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._since: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def __enter__(self) -> "PartProgress":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def say(self, part: str, doing: str) -> None:
        """Show what a part is at."""
        self._show(part, doing)
        now = time.monotonic()
        if now - self._said[part] > QUIET_SECONDS:
            self._said[part] = now
            self._print(f"  {part}: {doing} ({self._elapsed(part):.0f} s)")

    def done(self, part: str, result: str) -> None:
        """Mark a part as finished."""
        self._show(part, result)
        self._bars.update(self._tasks[part], completed=1)
        self._print(f"✓ {part}: {result} ({self._elapsed(part):.1f} s)")

    def _show(self, part: str, text: str) -> None:
        if part not in self._tasks:
            self._since[part] = self._said[part] = time.monotonic()
            self._tasks[part] = self._bars.add_task(text, part=part, total=1)
        self._bars.update(self._tasks[part], description=text)

    def _elapsed(self, part: str) -> float:
        return time.monotonic() - self._since[part]

    def _print(self, line: str) -> None:
        if not self._console.is_terminal:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)
