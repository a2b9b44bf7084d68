"""What the watch tells of, and what it keeps quiet about."""

from pathlib import Path

import pytest

from pipelines.settings import Settings
from stack.room import Room
from stack.status import State
from stack.watch.observation import Observation, Standing
from stack.watch.troubles import ASKS, Troubles

NEEDS = {"postgres": (), "hdfs": (), "airflow": ("postgres",), "service": ()}
GB = 10**9


def look(
    *,
    supervised: bool = True,
    changing: bool = False,
    rooms: tuple[Room, ...] = (),
    **states: State,
) -> Observation:
    standings = dict.fromkeys(NEEDS, "ready") | states
    return Observation(
        at=0.0,
        supervised=supervised,
        changing=changing,
        standings=tuple(
            Standing(part, f"{part}-1", state, "no answer yet", 0)  # type: ignore[arg-type]
            for part, state in standings.items()
        ),
        rooms=rooms,
    )


def subjects(troubles: Troubles, *looks: Observation) -> list[str]:
    """What is in trouble at the last of several looks."""
    verdicts = [troubles.judge(seen) for seen in looks]
    return [alert.subject for alert in verdicts[-1].troubles]


@pytest.fixture
def troubles(tmp_path: Path) -> Troubles:
    return Troubles(Settings(home=tmp_path), NEEDS)


@pytest.mark.parametrize("state", ["starting", "failed"])
def test_a_part_that_stays_away_is_told_of(troubles: Troubles, state: State) -> None:
    bad = look(hdfs=state)

    assert subjects(troubles, *[bad] * (ASKS - 1)) == []
    assert subjects(troubles, bad) == ["hdfs"]
    assert troubles.judge(look()).over == {"part_down/-/hdfs"}
    assert troubles.judge(look()).over == set()


def test_a_part_that_starts_again_soon_is_not(troubles: Troubles) -> None:
    bad = look(hdfs="starting")

    assert subjects(troubles, *[bad, bad, look()] * 5, bad) == []


def test_a_part_that_was_stopped_on_purpose_is_not(troubles: Troubles) -> None:
    assert subjects(troubles, *[look(hdfs="stopped", service="stopped")] * 9) == []


def test_what_somebody_is_changing_is_neither_bad_nor_over(troubles: Troubles) -> None:
    bad, busy = look(hdfs="failed"), look(hdfs="starting", service="starting", changing=True)

    assert subjects(troubles, *[busy] * 9) == []
    assert subjects(troubles, *[bad] * ASKS) == ["hdfs"]
    assert troubles.judge(look(changing=True)).over == set()
    assert troubles.judge(look()).over == {"part_down/-/hdfs"}


def test_a_part_that_only_misses_another_is_not_told_of(troubles: Troubles) -> None:
    bad = look(postgres="failed", airflow="starting")

    assert subjects(troubles, *[bad] * ASKS) == ["postgres"]
    assert subjects(troubles, look(airflow="starting")) == ["airflow"]


def test_the_service_is_critical(troubles: Troubles) -> None:
    (alert,) = [troubles.judge(look(service="failed")) for _ in range(ASKS)][-1].troubles

    assert (alert.kind, alert.severity) == ("service_down", "critical")
    assert "medloop stack logs service" in alert.text
    assert "service-1 (failed): no answer yet" in alert.text


def test_without_supervisord_nothing_is_known_of_the_parts(troubles: Troubles) -> None:
    gone = look(supervised=False, hdfs="stopped")

    assert subjects(troubles, *[look(hdfs="failed")] * ASKS) == ["hdfs"]
    verdicts = [troubles.judge(gone) for _ in range(ASKS)]
    assert [alert.subject for alert in verdicts[-1].troubles] == ["supervisord"]
    assert set().union(*(verdict.over for verdict in verdicts)) == set()
    assert troubles.judge(look()).over == {"part_down/-/supervisord", "part_down/-/hdfs"}


@pytest.mark.parametrize(
    ("total", "free", "severity"),
    [
        (1000, 101, None),
        (1000, 99, "warning"),
        (1000, 24, "critical"),
        (20, 5.1, None),
        (20, 4.9, "warning"),
        (20, 1.2, "critical"),
    ],
)
def test_a_disk_should_have_a_tenth_free_and_5_gb(
    troubles: Troubles, total: float, free: float, severity: str | None
) -> None:
    room = Room("home", total=int(total * GB), free=int(free * GB))
    found = [alert.severity for alert in troubles.judge(look(rooms=(room,))).troubles]

    assert found == ([severity] if severity else [])


def test_a_disk_at_the_edge_is_told_of_once(troubles: Troubles) -> None:
    def at(free: int) -> Observation:
        return look(rooms=(Room("home", total=1000 * GB, free=free * GB),))

    assert subjects(troubles, at(99)) == ["home"]
    assert subjects(troubles, at(101)) == ["home"]
    assert troubles.judge(at(111)).over == {"disk_full/-/home"}


def test_the_embedded_hdfs_is_not_told_of_beside_its_own_disk(tmp_path: Path) -> None:
    full = look(rooms=(Room("hdfs", total=1000 * GB, free=GB),))
    elsewhere = Settings(home=tmp_path, store="hdfs://cluster.example:8020/medloop")

    assert subjects(Troubles(Settings(home=tmp_path), NEEDS), full) == []
    assert subjects(Troubles(elsewhere, NEEDS), full) == ["hdfs"]


def test_hdfs_that_does_not_say_how_full_it_is_is_still_as_full_as_it_was(tmp_path: Path) -> None:
    troubles = Troubles(Settings(home=tmp_path, store="hdfs://c.example:8020/m"), NEEDS)
    troubles.judge(look(rooms=(Room("hdfs", total=1000 * GB, free=GB),)))

    assert troubles.judge(look()).over == set()


def test_troubles_of_a_watch_before_this_one_are_over_when_they_are(tmp_path: Path) -> None:
    known = ["part_down/-/hdfs", "drift/phantom/answers"]
    troubles = Troubles(Settings(home=tmp_path), NEEDS, known)

    assert troubles.judge(look()).over == {"part_down/-/hdfs"}
