"""Credentials are taken out of whatever is shown."""

from __future__ import annotations

import pickle
import re

import pytest

from lmeec.errors import CameraError, DataError
from lmeec.files.places import place
from lmeec.files.reading import reading, understanding
from lmeec.files.secrets import without_secrets
from lmeec.runs.outcome import JobError
from tests.support.command import lmeec

SECRET = "sHaReDsEcReT/0123"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://ann:{SECRET}@host:8080/takes/a.mp4 failed",
        f"404, message='Not Found', url='https://host/a.mp4?X-Amz-Credential={KEY_ID}&X-Amz-Signature={SECRET}'",
        f'{{"aws_secret_access_key": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"headers: {{'authorization': 'Basic {SECRET}='}}",
        f"key {KEY_ID} is not known",
        f"x-amz-security-token={SECRET};",
        f"s3://{KEY_ID}:{SECRET}@bucket/takes",
        f"https://host/a.mp4#access={SECRET}",
    ],
)
def test_what_is_secret_is_gone(text):
    shown = without_secrets(text)
    assert SECRET not in shown
    assert KEY_ID not in shown
    assert without_secrets(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/egoexo4d/takes/bike 5/gp01.mp4: there is no such file",
        "https://host/a%20b.mp4: is not a video that can be read (Invalid data); download it again",
        "take 'token passing_3', camera 'gp01'",
        "run 'key: value' again with --set predict.takes=/data, see https://host/page",
    ],
)
def test_what_is_not_secret_stays(text):
    assert without_secrets(text) == text


def test_secrets_of_the_environment_are_known(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert without_secrets(f"StringToSign: {SECRET}") == "StringToSign: ***"


def test_a_place_tells_nobody_how_it_is_reached():
    where = place(f"https://ann:{SECRET}@host/takes/a.mp4?X-Amz-Signature={SECRET}")
    for shown in (str(where), repr(where), f"{where / 'b.mp4'}", str(where.parent), where.name, where.suffix):
        assert SECRET not in shown
    again = pickle.loads(pickle.dumps(where))
    assert again == where
    assert SECRET in again.url, "who connects needs it"


def test_errors_of_readers_and_jobs_hold_none():
    where = place(f"https://ann:{SECRET}@host/a.json?sig={SECRET}")
    with pytest.raises(DataError) as caught, understanding(where, DataError, "a JSON file", "mend it"):
        raise ValueError(f"cannot fetch {where.url}")
    assert SECRET not in str(caught.value)
    assert "https://***@host/a.json" in str(caught.value)
    for error in (CameraError("gp01", where.url), RuntimeError(where.url), DataError(where.url)):
        with pytest.raises(type(error)) as raised:
            raise error
        assert SECRET not in JobError.of(raised.value).reason


def test_the_command_shows_none_even_of_what_it_was_not_made_for(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    url = f"https://ann:{SECRET}@host/takes?sig={SECRET}"

    def broken(*_arguments, **_settings):
        raise RuntimeError(f"no way to {url}")

    monkeypatch.setattr("lmeec.data.takes.find_takes", broken)
    for options in ((), ("--debug",)):
        done = lmeec("takes", url, *options)
        assert done.status == 70
        assert SECRET not in done.out + done.err
    (details,) = tmp_path.glob("lmeec-error-*.txt")
    assert re.search(r"RuntimeError: no way to https://\*\*\*@host/takes", details.read_text())
    assert SECRET not in details.read_text()


def test_reading_names_a_place_of_the_web_that_is_not_there():
    with (
        pytest.raises(
            DataError, match=r"http://\*\*\*@127\.0\.0\.1:9/a\.json\?\*\*\*: cannot be read: the store gave no"
        ),
        pytest.MonkeyPatch.context() as patched,
    ):
        patched.setattr("lmeec.files.remote.attempts.FIRST_WAIT_S", 0.0)
        with reading(place(f"http://ann:{SECRET}@127.0.0.1:9/a.json?s={SECRET}"), DataError, "JSON", "mend it"):
            pass
