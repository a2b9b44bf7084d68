"""What, of all the watch sees, somebody should hear of.

A part that starts again within half a minute is no trouble, nor is one that was stopped on
purpose, nor one that only misses another that is down.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.alerts.alert import Alert, Kind, Severity, alert_key
from pipelines.settings import Settings
from stack.room import Room
from stack.watch.observation import Observation, Standing

ASKS = 3
"""How often in a row a part must be found wanting."""
SLACK = 1.1
"""By how much more must be free than was too little, for the trouble to be over."""
DIRE = 0.25
"""Share of what should be free below which it is critical."""
KINDS: tuple[Kind, ...] = ("service_down", "part_down", "disk_full")
"""What the watch tells of, and nobody else."""
SUPERVISOR = "supervisord"


@dataclass(frozen=True)
class Verdict:
    """What one look has changed."""

    troubles: list[Alert]
    """All there are, told of already or not."""
    over: set[str]
    """Keys of those that were there before, and are not."""


class Troubles:
    """Keeps count over several looks.

    Args:
        settings: what should be free.
        needs: part → the parts without which it cannot be well.
        known: keys of troubles that were told of before this process began.
    """

    def __init__(
        self, settings: Settings, needs: Mapping[str, Sequence[str]], known: Iterable[str] = ()
    ) -> None:
        self._settings = settings
        self._needs = needs
        self._asks: Counter[str] = Counter()
        self._open = {key for key in known if key.startswith(KINDS)}

    def judge(self, seen: Observation) -> Verdict:
        """Hold one look against those before it."""
        parts = [] if seen.changing else self._parts(seen)
        full = [alert for room in seen.rooms if (alert := self._full(room))]
        judged = self._judged(seen)
        current = {alert.key for alert in (*parts, *full)}
        over = (self._open & judged) - current
        self._open = (self._open - over) | current
        return Verdict([*parts, *full], over)

    def _judged(self, seen: Observation) -> set[str]:
        """Keys of what this look can tell about."""
        keys = {alert_key("disk_full", None, room.name) for room in seen.rooms}
        if not seen.changing:
            keys.add(alert_key("part_down", None, SUPERVISOR))
            names = {standing.part for standing in seen.standings} if seen.supervised else set()
            keys |= {alert_key(_kind(name), None, name) for name in names}
        return keys

    def _parts(self, seen: Observation) -> list[Alert]:
        wanting = _wanting(seen)
        self._asks = Counter({part: self._asks[part] + 1 for part in wanting})
        down = {part for part, asks in self._asks.items() if asks >= ASKS}
        return [
            down_alert(part, standings)
            for part, standings in wanting.items()
            if part in down and not down.intersection(self._needs.get(part, ()))
        ]

    def _full(self, room: Room) -> Alert | None:
        # The blocks of the embedded HDFS lie on the home's disk, which is told of already.
        if room.name == "hdfs" and self._settings.store is None:
            return None
        wanted = max(
            room.total * self._settings.watch_disk_share,
            self._settings.watch_disk_gigabytes * 1e9,
        )
        known = alert_key("disk_full", None, room.name) in self._open
        if room.free >= wanted * (SLACK if known else 1.0):
            return None
        severity: Severity = "critical" if room.free < wanted * DIRE else "warning"
        where = "HDFS" if room.name == "hdfs" else f"the disk of {self._settings.home}"
        return Alert(
            kind="disk_full",
            severity=severity,
            subject=room.name,
            title=f"{where} is nearly full: {room.free / 1e9:.1f} GB free",
            text=(
                f"{room.free / 1e9:.1f} of {room.total / 1e9:.1f} GB are free; "
                f"{wanted / 1e9:.1f} GB should be (MEDLOOP_WATCH_DISK_SHARE, "
                "MEDLOOP_WATCH_DISK_GIGABYTES). A full disk stops the databases. What can be made "
                f"again and may be deleted: {self._settings.cache}."
            ),
        )


def _wanting(seen: Observation) -> dict[str, list[Standing]]:
    """Part → its processes that should be ready and are not."""
    if not seen.supervised:
        return {SUPERVISOR: []}
    wanting: dict[str, list[Standing]] = {}
    for standing in seen.standings:
        if standing.state in ("starting", "failed"):
            wanting.setdefault(standing.part, []).append(standing)
    return wanting


def _kind(part: str) -> Kind:
    return "service_down" if part == "service" else "part_down"


def down_alert(part: str, standings: Sequence[Standing]) -> Alert:
    """What is told of a part of which these processes should be ready and are not."""
    if part == SUPERVISOR:
        return Alert(
            kind="part_down",
            severity="critical",
            subject=part,
            title="supervisord is gone: what ends now stays away",
            text=(
                "Something killed it. The watch tries once to start it again, and every part with "
                "it; if this is not over in a minute: medloop stack up"
            ),
        )
    lines = [f"{s.process} ({s.state}): {s.detail or 'no reason given'}" for s in standings]
    service = part == "service"
    return Alert(
        kind=_kind(part),
        severity="critical" if service else "warning",
        subject=part,
        title="The service is down: nobody is answered" if service else f"{part} is down",
        text="\n".join(
            [*lines, f"Look: medloop stack logs {part}. Try: medloop stack restart {part}"]
        ),
    )
