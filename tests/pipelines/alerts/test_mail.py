"""Alerts by e-mail, to a real mail server: with TLS and login, or not at all."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import make_notice
from pipelines.alerts.mail import Mail
from pipelines.alerts.notice import Notice
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings
from tests.pipelines.alerts.receivers import HOST, mail_server
from tests.serving.certificates import make_certificate

LOGIN = ("medloop", "pa$$word-s3cret")


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows, and this process trusts."""
    made = make_certificate(tmp_path / "tls")
    monkeypatch.setenv("SSL_CERT_FILE", str(made.cert))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.cert, made.key)
    return context


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    password = tmp_path / "password"
    password.write_text(LOGIN[1] + "\n")
    return Settings(
        home=tmp_path / "home",
        alert_smtp_host=HOST,
        alert_smtp_user=LOGIN[0],
        alert_smtp_password_file=password,
        alert_email_from="medloop@hospital.example",
        alert_email_to="one@hospital.example, two@hospital.example",
    )


def mail(settings: Settings, port: int, **fields: Any) -> Mail:
    return Mail(settings.model_copy(update={"alert_smtp_port": port, **fields}))


def test_a_message_goes_to_everybody_over_starttls_with_a_login(
    settings: Settings, trusted: ssl.SSLContext, notice: Notice
) -> None:
    with mail_server(login=LOGIN, starttls=trusted) as box:
        mail(settings, box.port).deliver(notice)

    (message,) = box.messages
    assert box.recipients == ["one@hospital.example", "two@hospital.example"]
    assert message["Subject"] == "[Medloop] warning: phantom: answers drift"
    assert message["From"] == "medloop@hospital.example"
    assert "3 of the last 5 windows." in message.get_content()
    assert str(notice.alert.link) in message.get_content()


def test_a_message_goes_over_tls_from_the_start(
    settings: Settings, trusted: ssl.SSLContext, notice: Notice
) -> None:
    with mail_server(tls=trusted) as box:
        fields = {"alert_smtp_tls": "tls", "alert_smtp_user": None}
        mail(settings, box.port, **fields).deliver(notice)

    assert len(box.messages) == 1


def test_all_messages_about_one_trouble_stand_together(
    settings: Settings, trusted: ssl.SSLContext, drift: Alert
) -> None:
    with mail_server(login=LOGIN, starttls=trusted) as box:
        channel = mail(settings, box.port)
        begun = make_notice(drift, "begun", since=1_800_000_000, at=1_800_000_000)
        over = make_notice(drift, "over", since=1_800_000_000, at=1_800_003_600)
        for notice in (begun, begun, over):
            channel.deliver(notice)

    ids = [message["Message-ID"] for message in box.messages]
    assert ids[0] == ids[1] != ids[2]
    assert len({message["References"] for message in box.messages}) == 1
    assert box.messages[2]["Subject"] == "[Medloop] over: phantom: answers drift"
    assert box.messages[2].get_content().startswith("This is over.")


def test_a_late_message_carries_the_date_of_sending_and_says_when_it_was_seen(
    settings: Settings, trusted: ssl.SSLContext, drift: Alert
) -> None:
    with mail_server(login=LOGIN, starttls=trusted) as box:
        late = make_notice(drift, "goes on", since=1_700_000_000, at=1_700_003_600)
        mail(settings, box.port).deliver(late)

    (message,) = box.messages
    sent = parsedate_to_datetime(message["Date"])
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60
    assert "As of:    2023-11-14 23:13 UTC" in message.get_content()


def test_a_title_with_line_breaks_makes_no_headers(
    settings: Settings, trusted: ssl.SSLContext, drift: Alert
) -> None:
    fields = drift.model_dump() | {
        "title": "drift\r\nBcc: thief@elsewhere.example\n\nbody",
        "subject": "x\nTo: thief@elsewhere.example",
    }
    alert = Alert.model_validate(fields)
    with mail_server(login=LOGIN, starttls=trusted) as box:
        mail(settings, box.port).deliver(make_notice(alert, "begun", since=0, at=0))

    (message,) = box.messages
    assert message["Bcc"] is None
    assert message["Subject"].endswith("drift Bcc: thief@elsewhere.example body")
    assert len(box.recipients) == 2


def test_letters_of_every_alphabet_arrive(
    settings: Settings, trusted: ssl.SSLContext, drift: Alert
) -> None:
    alert = drift.model_copy(update={"title": "Größe — 大きさ", "text": "ähnlich ≥ 0,85"})
    with mail_server(login=LOGIN, starttls=trusted) as box:
        mail(settings, box.port).deliver(make_notice(alert, "begun", since=0, at=0))

    assert box.messages[0]["Subject"] == "[Medloop] warning: Größe — 大きさ"
    assert "ähnlich ≥ 0,85" in box.messages[0].get_content()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda s: s.alert_smtp_password_file.write_text("wrong-s3cret"), "535"),
        (lambda s: s.alert_smtp_password_file.write_text("two\nlines-s3cret"), "one line"),
        (lambda s: s.alert_smtp_password_file.write_text("nön-ascii-s3cret"), "ASCII"),
        (lambda s: s.alert_smtp_password_file.unlink(), "cannot be read"),
    ],
)
def test_a_login_that_fails_is_told_without_the_password(
    settings: Settings,
    trusted: ssl.SSLContext,
    notice: Notice,
    spoil: Callable[[Settings], object],
    reason: str,
) -> None:
    spoil(settings)
    with (
        mail_server(login=LOGIN, starttls=trusted) as box,
        pytest.raises(DeliveryFailed, match=reason) as failed,
    ):
        mail(settings, box.port).deliver(notice)

    assert box.messages == []
    assert "s3cret" not in str(failed.value)


def test_nothing_is_sent_to_a_server_that_cannot_prove_who_it_is(
    settings: Settings, tmp_path: Path, notice: Notice
) -> None:
    made = make_certificate(tmp_path / "stranger")
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    stranger.load_cert_chain(made.cert, made.key)
    with (
        mail_server(login=LOGIN, starttls=stranger) as box,
        pytest.raises(DeliveryFailed, match="certificate"),
    ):
        mail(settings, box.port).deliver(notice)

    assert box.messages == []


def test_nothing_is_sent_in_the_open_unless_that_was_asked_for(
    settings: Settings, notice: Notice
) -> None:
    with mail_server() as box:
        with pytest.raises(DeliveryFailed, match="STARTTLS"):
            mail(settings, box.port).deliver(notice)
        assert box.messages == []
        mail(settings, box.port, alert_smtp_tls="none", alert_smtp_user=None).deliver(notice)

    assert len(box.messages) == 1


def test_a_server_that_is_away_is_named(settings: Settings, notice: Notice) -> None:
    with mail_server() as box:
        pass
    with pytest.raises(DeliveryFailed, match=f"{HOST}:{box.port}"):
        mail(settings, box.port).deliver(notice)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"alert_email_to": "a@b.example"}, "MEDLOOP_ALERT_SMTP_HOST and MEDLOOP_ALERT_EMAIL_FROM"),
        ({"alert_email_to": "a b@c"}, "no mail address"),
        ({"alert_email_from": "a@b\nBcc: c@d"}, "no mail address"),
        (
            {
                "alert_smtp_host": "mail.example",
                "alert_smtp_tls": "none",
                "alert_smtp_password_file": "/p",
            },
            "in the open",
        ),
        ({"alert_repeat_hours": 0}, "greater than 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        Settings.model_validate(fields)
