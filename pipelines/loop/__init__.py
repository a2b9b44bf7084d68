"""The retraining loop, one function a step: what a DAG's task and a shell command both call.

Each function takes the data set's name and what earlier steps returned (as objects, or as the
plain JSON that Airflow passes on) and returns its own small output. Everything heavy is imported
inside, so that this page costs nothing to import. ``fresh``, where a function takes it, is the
name of a run that uses nothing that stands, but for the snapshot of originals.

    land → check_landing → ingest → split → check_snapshot → prepare → check_prepared
         → train, evaluate (each candidate) → select → gate → canary → promote | refuse

    data.py          from a landing folder to a training set
    models.py        from a training set to the best candidate
    release.py       from the best candidate to the champion, or to a refusal
    profile.py       what the prepared images look like
    studies.py       questions that take several trainings, asked by hand
    lesions.py       a network that finds lesions, asked for by hand
    operations.py    what goes on beside: scoring, watching, backups, removing what is old
"""

from pipelines.loop.data import (
    check_landing,
    check_prepared,
    check_snapshot,
    enough,
    example,
    ingest,
    ingest_external,
    land,
    landing_folder,
    latest_snapshot,
    leak_report,
    locate,
    prepare,
    proceed,
    quarantine,
    split,
    too_few,
)
from pipelines.loop.data_profile import profile_data, profile_page
from pipelines.loop.lesions import segment
from pipelines.loop.models import candidates, evaluate, select, train
from pipelines.loop.operations import (
    backup,
    confirm_drift,
    drift_confirmed,
    erase,
    label,
    monitor,
    plan_erasure,
    profile,
    prune,
    score,
    watched,
)
from pipelines.loop.release import (
    ask,
    canary,
    check_promotion,
    decide,
    gate,
    promote,
    promote_by_hand,
    refuse,
    rollback,
    settle,
    unchanged,
)
from pipelines.loop.studies import cross_validate, latest_prepared, learning_curve, tune

__all__ = [
    "ask",
    "backup",
    "canary",
    "candidates",
    "check_landing",
    "check_prepared",
    "check_promotion",
    "check_snapshot",
    "confirm_drift",
    "cross_validate",
    "decide",
    "drift_confirmed",
    "enough",
    "erase",
    "evaluate",
    "example",
    "gate",
    "ingest",
    "ingest_external",
    "label",
    "land",
    "landing_folder",
    "latest_prepared",
    "latest_snapshot",
    "leak_report",
    "learning_curve",
    "locate",
    "monitor",
    "plan_erasure",
    "prepare",
    "proceed",
    "profile",
    "profile_data",
    "profile_page",
    "promote",
    "promote_by_hand",
    "prune",
    "quarantine",
    "refuse",
    "rollback",
    "score",
    "segment",
    "select",
    "settle",
    "split",
    "too_few",
    "train",
    "tune",
    "unchanged",
    "watched",
]
