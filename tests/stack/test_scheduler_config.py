"""Airflow's settings file keeps secrets private, and keeps them."""

import configparser
import json
import stat
from pathlib import Path

import pytest

from pipelines.settings import Settings
from stack.scheduler_config import USER, airflow_home, passwords_file, write_configuration


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, airflow_port=8181)


def configuration(settings: Settings) -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(airflow_home(settings) / "airflow.cfg")
    return config


def test_no_file_of_airflows_settings_is_anyone_elses_to_read(settings: Settings) -> None:
    write_configuration(settings)
    files = list(airflow_home(settings).iterdir())
    assert {file.name for file in files} == {"airflow.cfg", "passwords.json", "secrets.json"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_secrets_and_password_are_made_once_and_differ_between_homes(
    settings: Settings, tmp_path: Path
) -> None:
    write_configuration(settings)
    before = configuration(settings), passwords_file(settings).read_text()
    write_configuration(settings)
    assert (configuration(settings), passwords_file(settings).read_text()) == before

    other = Settings(home=tmp_path / "other")
    write_configuration(other)
    password = json.loads(passwords_file(other).read_text())[USER]
    assert password not in before[1]
    assert configuration(other)["core"]["fernet_key"] != before[0]["core"]["fernet_key"]


def test_every_address_follows_the_settings(settings: Settings) -> None:
    write_configuration(settings)
    config = configuration(settings)
    assert config["api"]["host"] == "127.0.0.1"
    assert config["api"]["port"] == "8181"
    assert config["core"]["execution_api_server_url"] == "http://127.0.0.1:8181/execution/"


def test_a_home_with_a_percent_sign_is_read_back_as_it_is(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "100%s of it")
    write_configuration(settings)
    passwords = configuration(settings)["core"]["simple_auth_manager_passwords_file"]
    assert passwords == str(passwords_file(settings))
