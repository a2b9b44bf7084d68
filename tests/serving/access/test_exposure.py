"""What must be so before the service listens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.access.store import add_token, revoke_token, token_file
from pipelines.access.tokens import Role, mint
from pipelines.errors import SettingsError, TokenFileError
from pipelines.settings import Settings
from serving.access.exposure import auth_for, certificate_of
from tests.serving.certificates import make_certificate


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_on_loopback_no_token_is_asked_for_unless_told(host: str, tmp_path: Path) -> None:
    assert auth_for(host, Settings(home=tmp_path)) == "loopback"
    assert auth_for(host, Settings(home=tmp_path, service_auth="on")) == "tokens"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7"])
def test_elsewhere_it_asks_for_tokens_and_warns_until_there_is_one(
    host: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path)
    assert auth_for(host, settings) == "tokens"
    assert "medloop token new" in caplog.text
    caplog.clear()
    token, _ = mint("viewer", Role.PREDICT)
    add_token(settings, token)
    assert auth_for(host, settings) == "tokens"
    assert not caplog.text
    revoke_token(settings, "viewer")
    assert auth_for(host, settings) == "tokens"
    assert "medloop token new" in caplog.text


def test_a_broken_token_file_keeps_it_from_starting(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    path = token_file(settings)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(TokenFileError):
        auth_for("0.0.0.0", settings)


def test_a_host_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'no\.such\.host\.invalid'"):
        auth_for("no.such.host.invalid", Settings(home=tmp_path))


def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    settings = Settings(home=tmp_path, service_tls_cert=made.cert, service_tls_key=made.key)
    assert certificate_of(settings) == made
    assert settings.service.startswith("https://")


def test_a_wrong_certificate_is_told_before_the_start(tmp_path: Path) -> None:
    made, other = make_certificate(tmp_path), make_certificate(tmp_path / "other")
    locked = make_certificate(tmp_path / "locked", password=b"secret")
    text = tmp_path / "note.txt"
    text.write_text("no certificate")
    for cert, key, said in [
        (made.cert, None, "MEDLOOP_SERVICE_TLS_KEY is not set"),
        (None, made.key, "MEDLOOP_SERVICE_TLS_CERT is not set"),
        (tmp_path / "none.pem", made.key, "none.pem: there is no such file"),
        (made.cert, other.key, "belong together"),
        (text, made.key, "belong together"),
        (locked.cert, locked.key, "without a password"),
    ]:
        settings = Settings(home=tmp_path, service_tls_cert=cert, service_tls_key=key)
        with pytest.raises(SettingsError, match=said):
            certificate_of(settings)


def test_a_certificate_that_ends_soon_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for days, told in ((1, True), (100, False)):
        caplog.clear()
        made = make_certificate(tmp_path, until=datetime.now(UTC) + timedelta(days=days))
        certificate_of(
            Settings(home=tmp_path, service_tls_cert=made.cert, service_tls_key=made.key)
        )
        assert ("renew it" in caplog.text) is told
