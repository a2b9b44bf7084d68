"""Alerts by webhook, to a real HTTP server."""

import hashlib
import hmac
import time
from typing import Any

import pytest

from pipelines.alerts.alert import Alert
from pipelines.alerts.book import make_notice
from pipelines.alerts.notice import Notice
from pipelines.alerts.webhook import SIGNATURE, TIMESTAMP, Webhook
from pipelines.errors import DeliveryFailed
from pipelines.settings import Settings
from tests.pipelines.alerts.receivers import Hook, hook_server

SECRET = "s3cret-word"


def webhook(settings: Settings, **fields: Any) -> Webhook:
    settings = settings.model_copy(update=fields)
    assert settings.alert_webhook_url_file is not None
    return Webhook(settings, settings.alert_webhook_url_file)


def test_chats_get_a_text_and_programs_get_fields(
    settings: Settings, hook: Hook, notice: Notice
) -> None:
    webhook(settings).deliver(notice)

    (post,) = hook.posts
    assert post.path == "/services/T0/s3cret-path"
    assert post.headers["Content-Type"] == "application/json"
    assert post.json["text"].splitlines() == [
        "*[Medloop] warning: phantom: answers drift*",
        "3 of the last 5 windows.",
        "http://127.0.0.1:8080/dags/monitor_phantom",
    ]
    told = {name: post.json[name] for name in ("kind", "severity", "dataset", "state", "key")}
    assert told == {
        "kind": "drift",
        "severity": "warning",
        "dataset": "phantom",
        "state": "begun",
        "key": "drift/phantom/answers",
    }


def test_a_text_calls_nobody_in_a_chat(settings: Settings, hook: Hook, drift: Alert) -> None:
    alert = drift.model_copy(update={"text": "<!channel> a & b", "title": "<http://x|y>"})
    webhook(settings).deliver(make_notice(alert, "begun", since=0, at=0))

    assert "<" not in hook.posts[0].json["text"]
    assert hook.posts[0].json["detail"] == "<!channel> a & b"


def test_a_receiver_can_prove_where_it_comes_from(
    settings: Settings, hook: Hook, notice: Notice
) -> None:
    secret = settings.home.parent / "secret"
    secret.write_text(SECRET)
    webhook(settings, alert_webhook_secret_file=secret).deliver(notice)

    (post,) = hook.posts
    signed = post.headers[TIMESTAMP].encode() + b"." + post.body
    expected = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert post.headers[SIGNATURE] == f"sha256={expected}"
    assert SECRET not in str(post)


def test_a_late_delivery_is_signed_with_the_time_of_its_own_attempt(
    settings: Settings, hook: Hook, drift: Alert
) -> None:
    secret = settings.home.parent / "secret"
    secret.write_text(SECRET)
    hours_ago = time.time() - 7200
    late = make_notice(drift, "begun", since=hours_ago, at=hours_ago)
    channel = webhook(settings, alert_webhook_secret_file=secret)
    hook.status = 500
    with pytest.raises(DeliveryFailed):
        channel.deliver(late)
    hook.status = 200
    time.sleep(1.1)
    channel.deliver(late)

    failed, delivered = (post.headers[TIMESTAMP] for post in hook.posts)
    assert abs(int(delivered) - time.time()) < 10, "a receiver's replay window would refuse it"
    assert int(failed) < int(delivered)
    assert hook.posts[1].json["at"] == late.at.isoformat()


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_anything_but_a_yes_is_a_refusal_that_does_not_tell_the_address(
    settings: Settings, hook: Hook, notice: Notice, status: int
) -> None:
    with hook_server() as other:
        hook.status, hook.location = status, other.url
        with pytest.raises(DeliveryFailed, match=f"answers {status}") as failed:
            webhook(settings).deliver(notice)

    assert other.posts == []
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("file:///etc/passwd", "no http:// or https://"),
        ("http://a.example/s3cret path", "no http:// or https://"),
        ("", "one line"),
        ("http://127.0.0.1:1/s3cret", "cannot be reached"),
        ("http://no-such-host.invalid/s3cret", "cannot be reached"),
    ],
)
def test_an_address_that_cannot_be_used_is_told_without_it(
    settings: Settings, notice: Notice, address: str, reason: str
) -> None:
    assert settings.alert_webhook_url_file is not None
    settings.alert_webhook_url_file.write_text(address)
    with pytest.raises(DeliveryFailed, match=reason) as failed:
        webhook(settings).deliver(notice)

    assert "s3cret" not in str(failed.value)
