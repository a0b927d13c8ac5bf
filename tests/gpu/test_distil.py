"""Training on the GPU: every student that is trained takes its first steps there."""

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: make test-export")

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(900)]
REPOSITORY = Path(__file__).parents[2]


def test_students_train_on_the_gpu_by_one_flag() -> None:
    if not torch.cuda.is_available():
        pytest.skip("this torch sees no GPU")
    command = [sys.executable, "-m", "export", "distil", "stylize", "stylize-lite", "backdrop", "prompt"]
    done = subprocess.run(
        [*command, "--device", "cuda", "--budget", "0.002", "--seed", "9", "--fresh"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
