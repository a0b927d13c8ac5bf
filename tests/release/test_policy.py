from pathlib import Path

import pytest

from edge_runtime.errors import ReleaseError
from edge_runtime.release.policy import load_policy

KEY = "ab" * 32


def test_a_policy_is_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "release.toml"
    path.write_text(f'trusted_keys = ["{KEY}"]\nallow_downgrade = true\nplatform = "gpu"\n[gate]\nwatch_s = 5\n')
    policy = load_policy(path)
    assert policy.keys == (bytes.fromhex(KEY),)
    assert policy.allow_downgrade
    assert policy.platform == "gpu"
    assert (policy.gate.watch_s, policy.gate.missed_share) == (5, 0.01)


def test_a_policy_may_take_unsigned_releases_by_saying_so(tmp_path: Path) -> None:
    path = tmp_path / "release.toml"
    path.write_text("require_signed = false\n")
    assert load_policy(path).keys is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "require_signed needs trusted_keys"),
        ("require_signed = 0", "expected true or false"),
        ('trusted_keys = ["abcd"]', "expected 64 hexadecimal digits"),
        ("trusted_keys = [5]", "expected 64 hexadecimal digits"),
        ("trust = []", "trust is no key of a policy"),
        ('platform = "arm"', "expected cpu, gpu, jetson"),
        ("[gate]\nwatch = 3", "gate.watch is no key"),
        ("[gate]\nwatch_s = -1", "expected a number from 0 to 60"),
        ("[gate]\nwatch_s = true", "expected a number from 0 to 60"),
        ("= 3", "cannot be read"),
        ("gate = 3", "gate = 3: expected a table"),
        ("trusted_keys = 3", "trusted_keys = 3: expected a list"),
    ],
)
def test_a_policy_that_is_wrong_lets_nothing_in_and_says_why(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "release.toml"
    path.write_text(text)
    with pytest.raises(ReleaseError) as raised:
        load_policy(path)
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_a_box_without_a_policy_lets_nothing_in(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="is missing, so nothing is let in"):
        load_policy(tmp_path / "release.toml")
