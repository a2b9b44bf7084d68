"""``docs/alerts.md`` tells of every kind of alert and every setting, and of no others."""

import re
from typing import get_args

from pipelines.alerts.alert import Kind
from pipelines.alerts.notice import Notice
from pipelines.alerts.webhook import payload
from pipelines.settings import PROJECT, Settings

PAGE = (PROJECT / "docs" / "alerts.md").read_text("utf-8")


def test_every_kind_is_explained_once() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) == sorted(get_args(Kind))


def test_every_setting_it_names_exists_and_none_of_its_own_is_left_out() -> None:
    named = {name.lower() for name in re.findall(r"MEDLOOP_([A-Z_]+)", PAGE)} - {"home"}
    ours = {name for name in Settings.model_fields if name.startswith(("alert_", "watch_"))}

    assert named == ours


def test_every_field_of_a_webhooks_body_is_named(notice: Notice) -> None:
    assert {name for name in payload(notice) if f"`{name}`" not in PAGE} == set()
