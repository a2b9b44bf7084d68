"""Lines of the audit log around a promotion: what two versions were asked."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.audit.entries import ANSWERS, REFUSALS, AnsweredEntry, RefusedEntry
from pipelines.release.promotions import Promotion


def write_log(
    folder: Path,
    promotion: Promotion,
    *,
    new: int,
    failed: int = 0,
    old: int = 60,
    before: str = "/predict",
    **fields: Any,
) -> None:
    """Add answers of the version before a promotion, and of its version afterwards.

    Args:
        folder: of the audit log.
        promotion: which.
        new: answers since then.
        failed: requests among them that failed.
        old: answers before.
        before: path that the answers before were asked at.
        fields: of the answers since then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ANSWERS).open("ab") as answers, (folder / REFUSALS).open("ab") as refusals:
        for number in range(old):
            at = promotion.at - timedelta(seconds=old - number)
            answers.write(_answer(promotion, at, 1, number, path=before))
        for number in range(new + failed):
            at = promotion.at + timedelta(seconds=1 + number / 10)
            if number % 2 == 0 and number // 2 < failed:
                refusal = {"milliseconds": 5.0, "status": 500, "code": "internal"}
                line = RefusedEntry(**_entry(promotion, at, 2, number) | refusal)
                refusals.write(line.model_dump_json().encode() + b"\n")
            else:
                answers.write(_answer(promotion, at, 2, number, **fields))


def _answer(promotion: Promotion, at: datetime, version: int, number: int, **fields: Any) -> bytes:
    usual = {
        "milliseconds": 80.0,
        "run_id": "r",
        "bundle": "b",
        "sha256": f"{number}",
        "class_name": "spot" if number % 2 else "clear",
        "confidence": 0.5 + number % 10 / 20,
        "abstained": False,
    }
    line = AnsweredEntry(**_entry(promotion, at, version, number) | usual | fields)
    return line.model_dump_json(by_alias=True).encode() + b"\n"


def _entry(promotion: Promotion, at: datetime, version: int, number: int) -> dict[str, Any]:
    return {
        "time": at,
        "request_id": f"{version}-{number}",
        "token": None,
        "address": None,
        "path": "/predict",
        "dataset": promotion.dataset,
        "model_version": version,
    }
