"""A History and its file."""

import json
import math

import pytest

from autograd_cnn.training import Epoch, History


def test_a_history_is_read_back_from_its_file(tmp_path):
    history = History("naïve", [0.1, 1 / 3, math.inf], [Epoch(2, 0.1, 0.5, math.nan, math.nan, 1.25)], True)
    history.save(tmp_path / "h.json")
    assert repr(History.load(tmp_path / "h.json")) == repr(history)
    assert json.loads((tmp_path / "h.json").read_text(encoding="utf-8"))["epochs"][0]["validation_loss"] == "nan"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"name": "", "losses": [[]], "epochs": [], "interrupted": 1}', "[" * 9**6]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "h.json").write_text(content)
    with pytest.raises(ValueError, match=r"h\.json: no saved History"):
        History.load(tmp_path / "h.json")
