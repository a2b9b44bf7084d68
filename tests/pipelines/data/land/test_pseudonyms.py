from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines.atomic import make_private
from pipelines.data.land import pseudonyms
from pipelines.data.land.pseudonyms import KEY_FILE, load_pseudonyms
from pipelines.errors import SettingsError
from pipelines.settings import Settings


def test_the_same_patient_has_the_same_pseudonym_in_every_run(installation: Settings) -> None:
    first, again = load_pseudonyms(installation), load_pseudonyms(installation)
    assert first.of("patient", "Doe") == again.of("patient", "Doe")
    assert first.of("patient", "Doe") != first.of("file", "Doe")
    assert first.of("patient", "Doe") != first.of("patient", "Roe")


def test_another_installation_has_other_pseudonyms(installation: Settings) -> None:
    other = installation.model_copy(update={"home": installation.home / "other"})
    here, there = load_pseudonyms(installation), load_pseudonyms(other)
    assert here.of("patient", "Doe") != there.of("patient", "Doe")


def test_the_key_is_for_its_owner_only_and_never_shown(installation: Settings) -> None:
    names = load_pseudonyms(installation)
    assert (installation.home / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert str(names.key) not in repr(names)


def test_two_that_start_at_once_agree_on_the_key(installation: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = {names.key for names in pool.map(load_pseudonyms, [installation] * 32)}
    assert len(keys) == 1
    assert [path.name for path in installation.home.iterdir()] == [KEY_FILE]


def test_a_key_that_another_process_made_meanwhile_is_used(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_by_another(path: Path, content: bytes) -> None:
        make_private(path, b"a" * 32)
        make_private(path, content)

    monkeypatch.setattr(pseudonyms, "make_private", made_by_another)
    assert load_pseudonyms(installation).key == b"a" * 32


def test_a_file_that_is_no_key_is_refused(installation: Settings) -> None:
    installation.home.mkdir(parents=True)
    (installation.home / KEY_FILE).write_bytes(b"short")
    with pytest.raises(SettingsError, match="holds 5 bytes"):
        load_pseudonyms(installation)


def test_a_uid_stays_a_valid_uid(installation: Settings) -> None:
    uid = load_pseudonyms(installation).uid("1.2.3")
    assert uid.startswith("2.25.")
    assert len(uid) <= 64
