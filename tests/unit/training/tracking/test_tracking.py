"""What is told of MLflow holds no password, and tracking is on only where somebody asked for it."""

import pytest

from training.tracking.log import is_wanted, without_password


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@host:5000/x failed", "https://***@host:5000/x failed"),
        ("mysql+pymysql://me:s3@cret@db/runs", "mysql+pymysql://***@db/runs"),
        ("postgresql://db/runs?user=me&password=s3cret&ssl=1", "postgresql://db/runs?user=me&password=***&ssl=1"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("it said token-of-mine twice: token-of-mine", "it said *** twice: ***"),
    ],
)
def test_no_password_is_shown(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "token-of-mine")
    assert without_password(text) == shown


def test_tracking_is_on_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert [is_wanted(given) for given in (None, True, False)] == [False, True, False]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert [is_wanted(given) for given in (None, True, False)] == [True, True, False]
