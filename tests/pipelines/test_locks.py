import stat
from pathlib import Path

import pytest

from pipelines.locks import locked, locked_if_free


def is_free(path: Path, *, shared: bool = False) -> bool:
    with locked_if_free(path, shared=shared) as is_held:
        return is_held


def test_one_at_a_time_holds_a_lock_and_only_its_owner_may_open_it(tmp_path: Path) -> None:
    path = tmp_path / "work" / "one.lock"

    with locked(path):
        assert not is_free(path)
        assert not is_free(path, shared=True)
    assert is_free(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_several_share_a_lock_and_none_holds_it_alone_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"

    with locked(path, shared=True):
        assert is_free(path, shared=True)
        assert not is_free(path)


def test_an_error_of_the_work_is_not_taken_for_a_lock_that_is_held(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"

    with pytest.raises(BlockingIOError, match="of the work"), locked_if_free(path):
        raise BlockingIOError("of the work")
    assert is_free(path)
