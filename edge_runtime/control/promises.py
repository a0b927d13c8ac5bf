"""What the hub has acknowledged and not yet carried out for good: held parameters, scheduled scenes, owed desires.

Beside the control socket, for the hub's successor in the same run: it outlives the process, not the power.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from edge_runtime.commands import COMMANDS, Command, SceneCommand
from edge_runtime.control.holds import Hold
from edge_runtime.control.state import write_atomically
from edge_runtime.logs import event


@dataclass(frozen=True, slots=True)
class Promises:
    """All that a hub owes."""

    holds: dict[str, Hold] = field(default_factory=dict)
    scheduled: list[SceneCommand] = field(default_factory=list)
    owed: list[Command] = field(default_factory=list)


class PromiseFile:
    """The file of one run. `run` tells runs apart: another one's promises are nobody's. Used from the hub's thread."""

    def __init__(self, path: Path, run: float) -> None:
        self._path, self._run = path, run
        self._written = ""
        self._failing = False

    def read(self) -> Promises:
        """What a predecessor of the same run left; nothing where there is none or it makes no sense."""
        try:
            tree = json.loads(self._path.read_bytes())
            if tree["run"] != self._run:
                return Promises()
            return Promises(
                {name: Hold(value, math.inf if until_s is None else until_s) for name, value, until_s in tree["holds"]},
                [SceneCommand.model_validate(args) for args in tree["scheduled"]],
                [COMMANDS[name].model_validate(args) for name, args in tree["owed"]],
            )
        except FileNotFoundError:
            return Promises()
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            event("orders_unreadable", "error", path=str(self._path), reason=str(error)[:200])
            return Promises()

    def write(self, promises: Promises) -> None:
        """Write what changed; a disk that refuses is told once."""
        tree = {
            "run": self._run,
            "holds": [
                [name, hold.value, None if math.isinf(hold.until_s) else hold.until_s]
                for name, hold in promises.holds.items()
            ],
            "scheduled": [command.model_dump() for command in promises.scheduled],
            "owed": [[command.NAME, command.model_dump()] for command in promises.owed],
        }
        text = json.dumps(tree)
        if text == self._written:
            return
        try:
            write_atomically(self._path, text.encode(), durable=False)
        except OSError as error:
            if not self._failing:
                event("orders_not_written", "error", path=str(self._path), reason=str(error))
            self._failing = True
            return
        self._written, self._failing = text, False
