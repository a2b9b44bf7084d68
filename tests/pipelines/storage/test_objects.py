"""What a server cannot or will not do is reported with the setting that mends it."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs

from pipelines.errors import MedloopError, NotFound, SettingsError, StoreUnavailable
from pipelines.settings import Settings
from pipelines.storage import Store, objects, open_store
from tests.pipelines.storage.s3_server import SECRET, S3Server


@pytest.fixture
def store(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    return open_store(s3.settings(tmp_path.name))


def require_each(store: Store, kind: type[MedloopError], match: str) -> None:
    """Check that reading, listing and writing fail with this message."""
    for ask in (store.exists, store.names, store.read, lambda path: store.write(path, b"1")):
        with pytest.raises(kind, match=match):
            ask("d/a")


def test_a_missing_bucket_is_named(s3: S3Server) -> None:
    store = open_store(Settings(store="s3://no-such-bucket/x", store_endpoint=s3.url))

    require_each(store, SettingsError, r"no bucket 'no-such-bucket'.*MEDLOOP_STORE")


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized"])
def test_refused_credentials_are_said_to_be_refused_and_not_shown(
    store: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(s3, "answers_instead", lambda _: status)

    require_each(store, SettingsError, r"refuses s3://.*AWS_ACCESS_KEY_ID and")
    with pytest.raises(SettingsError) as refused:
        store.read("d/a")
    assert SECRET not in f"{refused.value} {refused.value.__cause__!r}"


@pytest.fixture
def without_credentials(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file")
    s3fs.S3FileSystem.clear_instance_cache()
    yield store
    s3fs.S3FileSystem.clear_instance_cache()


def test_missing_credentials_are_asked_for(without_credentials: Store) -> None:
    store = without_credentials
    require_each(store, SettingsError, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or")


@pytest.mark.parametrize("status", ["503 Slow Down", "500 Internal Server Error"])
def test_a_server_that_fails_is_told_as_what_can_heal(
    store: Store, s3: S3Server, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(s3, "answers_instead", lambda _: status)

    with pytest.raises(
        StoreUnavailable, match=r"does not answer for s3://.*MEDLOOP_STORE_ENDPOINT"
    ):
        store.read("d/a")


def test_a_server_that_fails_once_is_asked_again(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3.settings(tmp_path.name))
    failures = iter(["503 Service Unavailable"])

    def failing(request: dict[str, Any]) -> str | None:
        return next(failures, None) if request["REQUEST_METHOD"] == "PUT" else None

    monkeypatch.setattr(s3, "answers_instead", failing)
    store.write("d/a", b"1")

    assert store.read("d/a") == b"1"


def test_an_absent_or_silent_server_is_told_with_its_address(
    s3: S3Server,  # noqa: ARG001 (its credentials)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(objects, "ATTEMPTS", 1)
    monkeypatch.setattr(objects, "READ_SECONDS", 0.1)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (9, silent.getsockname()[1]):
            address = f"http://127.0.0.1:{port}"
            store = open_store(Settings(store="s3://bucket/x", store_endpoint=address))
            with pytest.raises(StoreUnavailable, match=f"{address} does not answer"):
                store.read("a")


@pytest.mark.parametrize("scheme", ["gs", "abfs"])
def test_a_client_that_is_not_installed_is_named(scheme: str) -> None:
    with pytest.raises(SettingsError, match=f"uv sync --extra {scheme},"):
        open_store(Settings(store=f"{scheme}://bucket/x")).exists("a")


def test_a_bucket_is_reached_as_the_settings_say(tmp_path: Path) -> None:
    settings = Settings(
        store="s3://bucket/x",
        store_endpoint="https://minio.example.org:9000/",
        store_region="eu-central-1",
        store_ca_bundle=tmp_path / "ca.pem",
    )
    options = objects.Access.of(settings).options("s3")

    assert options["endpoint_url"] == "https://minio.example.org:9000"
    assert options["client_kwargs"] == {
        "region_name": "eu-central-1",
        "verify": str(tmp_path / "ca.pem"),
    }
    assert "endpoint_url" not in objects.Access.of(Settings()).options("gs")


@pytest.mark.parametrize("url", ["minio:9000", "https://key:secret@minio", "http://minio/bucket"])
def test_an_endpoint_is_the_address_of_a_server_and_holds_no_login(url: str) -> None:
    with pytest.raises(ValueError, match=r"store_endpoint[\s\S]*write scheme, host and port"):
        Settings(store_endpoint=url)


def test_a_file_of_a_bucket_is_read_at_any_position(store: Store) -> None:
    store.write("d/a", bytes(range(256)))

    with store.open("d/a") as file:
        file.seek(-2, 2)
        assert file.read() == b"\xfe\xff"
        file.seek(3)
        assert file.read(2) == b"\x03\x04"
    with pytest.raises(NotFound, match="d/b"):
        store.open("d/b")
