from pathlib import Path

import pytest

from edge_runtime.__main__ import main
from edge_runtime.commands import COMMANDS
from edge_runtime.control.topics import CONTRACT, Topics

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "mqtt.md"


def test_the_page_on_mqtt_is_what_the_code_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "mqtt"]) == 0
    assert capsys.readouterr().out == DOCUMENT.read_text(), "write it again: edge-runtime schema mqtt > docs/mqtt.md"


def test_every_topic_and_every_command_is_on_the_page() -> None:
    page = DOCUMENT.read_text()
    assert [kind.pattern for kind in CONTRACT if f"| `{kind.pattern}` |" not in page] == []
    assert [name for name in COMMANDS if f"| `{name}` |" not in page] == []


def test_the_table_knows_every_topic_that_a_box_speaks_on_or_listens_to() -> None:
    own = Topics("ID", ("GROUP",))
    names = [own.availability, own.status, own.event, own.ack, own.desired, own.state("rung")]
    names += [topic_filter.replace("+", "NAME") for topic_filter in own.command_filters]
    assert set(names) <= {kind.pattern for kind in CONTRACT}
