"""The schedule by the numbers."""

import pytest

from pipelines.training.checkpoint import Progress
from pipelines.training.schedule import LEAST_RATE, SLOWER, Schedule, advance, schedule_of
from tests.pipelines.training.small_sets import candidate

SCHEDULE = Schedule(epochs=6, learning_rate=0.01, patience=4, plateau_patience=2)


def after(losses: list[float], schedule: Schedule = SCHEDULE) -> Progress:
    """The state after epochs of these validation losses."""
    progress = Progress(learning_rate=schedule.learning_rate)
    for loss in losses:
        progress = advance(progress, {"val_loss": loss}, schedule, seconds=2)
    return progress


def rates(schedule: Schedule) -> list[float]:
    """The learning rate of every epoch, where each is better than the one before."""
    losses = [1 / (1 + epoch) for epoch in range(schedule.epochs)]
    return [schedule.rate(after(losses[:epoch], schedule)) for epoch in range(schedule.epochs)]


@pytest.mark.parametrize(
    ("losses", "best_epoch", "since_best", "slowed"),
    [
        ([3, 2, 1], 3, 0, 0),
        ([3, 1, 2], 2, 1, 0),
        ([3, 1, 2, 2], 2, 2, 1),
        ([3, 1, 2, 2, 2], 2, 3, 1),
        ([3, 1, 2, 2, 2, 2], 2, 4, 2),
        ([3, 1, 2, 2, 0.5, 2], 5, 1, 1),
        ([1, 1, 1], 1, 2, 1),
    ],
)
def test_what_the_losses_lead_to(
    losses: list[float], best_epoch: int, since_best: int, slowed: int
) -> None:
    progress = after(losses)
    assert (progress.best_epoch, progress.since_best) == (best_epoch, since_best)
    assert progress.best_loss == min(losses)
    assert progress.learning_rate == pytest.approx(0.01 * SLOWER**slowed)
    assert (progress.epochs, progress.seconds) == (len(losses), 2 * len(losses))


def test_the_learning_rate_has_a_floor() -> None:
    assert after([1.0] * 60).learning_rate == LEAST_RATE


def test_a_plateau_lasts_and_costs_what_the_candidate_says() -> None:
    chosen = candidate(plateau_patience=1, plateau_factor=0.5, learning_rate=0.4)
    schedule = schedule_of(chosen, epochs=9, learning_rate=0.4)
    assert schedule.rate(after([1, 2, 2], schedule)) == pytest.approx(0.1)


def test_a_plateau_is_half_of_the_patience_unless_said() -> None:
    of = {p: schedule_of(candidate(patience=p), epochs=9, learning_rate=1) for p in (1, 6, 11)}
    assert {p: schedule.plateau_patience for p, schedule in of.items()} == {1: 2, 6: 3, 11: 5}


def test_a_cosine_falls_from_the_full_rate_to_nearly_nothing_whatever_the_losses() -> None:
    schedule = schedule_of(candidate(schedule="cosine"), epochs=4, learning_rate=0.8)
    assert rates(schedule) == pytest.approx([0.8, 0.6828, 0.4, 0.1172], abs=1e-4)
    assert schedule.rate(after([1, 2, 2], schedule)) == pytest.approx(0.1172, abs=1e-4)


def test_a_warm_up_rises_by_equal_steps() -> None:
    schedule = schedule_of(candidate(warmup_epochs=3, epochs=6), epochs=6, learning_rate=0.8)
    assert rates(schedule) == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8, 0.8])


@pytest.mark.parametrize(
    ("epochs", "since_best", "ended"), [(5, 3, False), (6, 0, True), (5, 4, True)]
)
def test_a_training_ends_at_its_last_epoch_or_out_of_patience(
    epochs: int, since_best: int, ended: bool
) -> None:
    progress = Progress(epochs=epochs, since_best=since_best, learning_rate=1)
    assert SCHEDULE.ended(progress) is ended
