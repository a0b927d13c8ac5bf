"""A session without a network: costs time, changes nothing.

Benches and tests use it as "a pass-through model of the same cost": a number painted into the camera picture
comes out on the screen, as late as behind a real network.
"""

from collections.abc import Mapping
from typing import Self

from edge_runtime.clock import cpu_s, now_s
from edge_runtime.inference.manifest import Bundle
from edge_runtime.inference.session import check_inputs
from edge_runtime.slots import Array


class NullSession:
    """Uses up processor time, as a network would (it does not sleep), and returns its inputs as outputs."""

    provider = "null"
    engine = ""

    def __init__(self, bundle: Bundle) -> None:
        """Take the cost from `[null] cost_ms` of the manifest; inputs and outputs are paired in order."""
        self._manifest = bundle.manifest
        self.run_s = 0.0
        self._cost_s = bundle.manifest.null.cost_ms / 1e3 if bundle.manifest.null else 0.0

    def run(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        check_inputs(self._manifest.name, self._manifest.inputs, inputs)
        start_s = now_s()
        until_s = cpu_s() + self._cost_s
        while cpu_s() < until_s:
            pass
        self.run_s = now_s() - start_s
        pairs = zip(self._manifest.inputs, self._manifest.outputs, strict=False)
        return {output.name: inputs[given.name] for given, output in pairs}

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
