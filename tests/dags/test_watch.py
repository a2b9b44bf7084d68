"""The watchers of the landing folders, driven as Airflow's triggerer drives them."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import Asset
from airflow.serialization.encoders import encode_trigger
from airflow.triggers.base import TriggerEvent
from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

from dags import assets, watch
from dags.watch import Deliveries, LandingTrigger
from pipelines.data.land.arrivals import Delivery, FolderWatcher
from pipelines.settings import Settings, get_settings

SPEC: dict[str, Any] = {
    "name": "pets",
    "title": "Pets",
    "source": {"origin": "drawn by a test", "licence": "CC0-1.0", "consent": "not needed"},
    "landing": {"quiet_seconds": 0.2},
    "classes": [{"name": "cat", "title": "Cat"}, {"name": "dog", "title": "Dog"}],
    "candidates": [{"name": "a", "model": "strided_cnn", "recipe": "scratch", "weights": None}],
}
STORED, LOST = AdvanceOutcome(acked=1, failed=0), AdvanceOutcome(acked=0, failed=1)


@pytest.fixture
def folder(
    installation: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    monkeypatch.setattr(watch, "AGAIN_SECONDS", 0.2)
    monkeypatch.setenv("MEDLOOP_DATASETS", str(tmp_path))
    get_settings.cache_clear()
    (tmp_path / "pets.yaml").write_text(yaml.safe_dump(SPEC))
    yield drop(installation.home / "landing" / "pets" / "cat" / "1.png").parent
    get_settings.cache_clear()


def drop(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"picture")
    return file


class Driven:
    """A stream of deliveries, and what Airflow would do with them."""

    def __init__(self) -> None:
        self._deliveries = Deliveries("pets")
        self._stream = self._deliveries.open_stream()
        self._next: asyncio.Future[tuple[dict[str, Any], Delivery]] | None = None

    async def next(self, within: float) -> tuple[dict[str, Any], Delivery] | None:
        """The next delivery, if one comes in so many seconds."""
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._stream))
        done, _ = await asyncio.wait([self._next], timeout=within)
        if not done:
            return None
        self._next = None
        return done.pop().result()

    async def resolve(self, delivery: Delivery, outcome: AdvanceOutcome) -> None:
        await self._deliveries.advance([AdvanceItem(delivery, outcome)])

    async def take(self) -> int:
        """Wait for a delivery, and let its event be stored; how many files were new."""
        found = await self.next(20)
        assert found
        event, delivery = found
        await self.resolve(delivery, STORED)
        return int(event["new_files"])

    async def end(self) -> None:
        if self._next:
            self._next.cancel()


def test_each_delivery_comes_once_and_is_noted_when_its_event_is_stored(folder: Path) -> None:
    async def watched() -> None:
        driven = Driven()
        assert await driven.take() == 1
        assert await driven.next(1.5) is None
        drop(folder / "2.png")
        drop(folder / "3.png")
        assert await driven.take() == 2
        await driven.end()
        restarted = Driven()
        assert await restarted.next(1.5) is None
        await restarted.end()

    asyncio.run(watched())


def test_nothing_else_is_told_until_airflow_has_said_what_became_of_it(folder: Path) -> None:
    async def watched() -> None:
        driven = Driven()
        first = await driven.next(20)
        assert first
        assert await driven.next(1.5) is None
        await driven.resolve(first[1], LOST)
        assert await driven.next(20) == first
        await driven.end()

    asyncio.run(watched())
    assert folder.exists()


def test_an_event_that_was_not_stored_is_told_again_even_after_a_restart(folder: Path) -> None:
    async def watched() -> None:
        driven = Driven()
        first = await driven.next(20)
        assert first
        await driven.resolve(first[1], LOST)
        assert await driven.next(20) == first
        await driven.end()
        assert await Driven().take() == 1

    asyncio.run(watched())
    assert folder.exists()


def test_the_watcher_outlives_what_goes_wrong(folder: Path) -> None:
    spec = get_settings().datasets / "pets.yaml"
    right = spec.read_text()

    async def watched() -> None:
        driven = Driven()
        spec.write_text("name: [")
        assert await driven.next(0.5) is None
        spec.write_text(right)
        assert await driven.take() == 1

    asyncio.run(watched())
    assert folder.exists()


def test_a_slow_look_does_not_hold_the_triggerer_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = FolderWatcher.check

    def slowly(self: Any) -> Delivery | None:
        time.sleep(1)
        return look(self)

    async def watched() -> float:
        monkeypatch.setattr(FolderWatcher, "check", slowly)
        driven = Driven()
        pending = asyncio.ensure_future(driven.take())
        longest = 0.0
        while not pending.done():
            before = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - before)
        assert pending.result() == 1
        return longest

    assert asyncio.run(watched()) < 0.9
    assert folder.exists()


def test_a_trigger_is_the_same_wherever_it_is_made() -> None:
    one, again, other = LandingTrigger("pets"), LandingTrigger("pets"), LandingTrigger("birds")

    assert one.serialize() == ("dags.watch.LandingTrigger", {"dataset": "pets"})
    assert encode_trigger(one) == encode_trigger(again)
    assert one.shared_stream_key() == again.shared_stream_key()
    assert one.shared_stream_key() != other.shared_stream_key()
    classpath, kwargs = one.serialize()
    assert LandingTrigger.hash(classpath, kwargs) == again.hash(*again.serialize())


def test_events_become_those_of_the_trigger() -> None:
    async def raw() -> AsyncIterator[dict[str, Any]]:
        yield {"dataset": "pets", "new_files": 1}

    async def filtered() -> list[TriggerEvent]:
        return [event async for event in LandingTrigger("pets").filter_shared_stream(raw())]

    assert [event.payload for event in asyncio.run(filtered())] == [
        {"dataset": "pets", "new_files": 1}
    ]


def test_the_landing_asset_has_its_watcher() -> None:
    asset: Asset = assets.landing("pets")

    assert asset.uri == "medloop://pets/landing"
    assert [watcher.name for watcher in asset.watchers] == ["pets_landing"]
