"""What is wrong with a manifest is told in words of YAML, with the key and the line."""

import pytest

from lmeec.data.takes import find_takes
from lmeec.errors import DataError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("takes: []\n", "line 1: takes: is empty"),
        ("takes:\n  - kitchen\n", r"line 2: takes\.0: is a single value, where keys with values are expected"),
        (
            "takes:\n  - name: kitchen\n    cameras:\n      head: {video: head.mp4}\n",
            r"line 3: takes\.0\.cameras: is keys with values, where a list is expected: begin each item with `- `",
        ),
        (
            "takes:\n  - name: kitchen\n    cameras:\n      - {name: 1, view: ego, vide: x}\n",
            r"line 4: takes\.0\.cameras\.0\.name: is 1, where text is expected",
        ),
    ],
)
def test_a_mistake(text, told, tmp_path):
    path = tmp_path / "recordings.yaml"
    path.write_text(text)
    with pytest.raises(DataError, match=told) as refused:
        find_takes(path)
    assert "uple" not in str(refused.value)
