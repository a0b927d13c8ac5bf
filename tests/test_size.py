"""How large the runtime is, and how large it may become."""

from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "edge_runtime"
MODULE_LINES = 500
SMALL_MODULE_LINES = {"show.py": 250, "supervisor.py": 350}  # the two that are read first
TOTAL_LINES = 24_000


def test_no_module_and_not_the_whole_outgrows_its_limit() -> None:
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_bytes().splitlines()) for path in PACKAGE.rglob("*.py")}
    total = sum(sizes.values())
    for name, lines in sorted(sizes.items(), key=lambda row: -row[1]):
        print(f"{lines:6}  {name}")
    print(f"{total:6}  of {TOTAL_LINES}")
    too_large = {name: lines for name, lines in sizes.items() if lines > SMALL_MODULE_LINES.get(name, MODULE_LINES)}
    assert not too_large
    assert total <= TOTAL_LINES
