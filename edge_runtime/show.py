"""The show: the only part that draws. One thread, one short loop, at real-time priority where that is allowed.

The loop never waits for a model, camera, broker, disk or log. What it needs lies in shared memory; what it cannot
draw now, it draws from what it had.
"""

import gc
from contextlib import ExitStack
from typing import Literal

import cv2
import numpy as np

from edge_runtime import logs
from edge_runtime.clock import FrameClock, SystemClock, Tick, Timekeeper, Timeline, cpu_s, now_s
from edge_runtime.config.scenes import AnyLayerConfig
from edge_runtime.director import Director
from edge_runtime.display.display import Display, open_display
from edge_runtime.display.statistics import FrameStatistics, PresentedFrame
from edge_runtime.display.trace import TraceRing
from edge_runtime.display.vblank import VblankCounter, compare, open_vblank_counter
from edge_runtime.display.vsync import VsyncFrames
from edge_runtime.governor import Change, Governor, Machine
from edge_runtime.layers import PictureLayer, PictureSource, open_layer
from edge_runtime.part import Part
from edge_runtime.realtime import raise_priority, raise_x_server
from edge_runtime.scene import Layer, Stage
from edge_runtime.trust.label import Label

BEAT_WITHIN_S = 1.0
REPORT_EVERY_S = 1.0
DEFAULT_RATE_HZ = 60.0
WARM_UP_S = 2.0
"""Frames of the first seconds are not counted: imports of other parts and first touches of memory disturb them."""
LONGEST_LEAD_S = 0.005
"""Presents wait for the longest drawing of late, but not for an outlier."""
LEAD_FORGETS = 0.999
LEAD_SPIN_S = 3e-4
"""A spin of 1.5 ms did no better. Source: 2 virtual cores with other load on them, p99 of abs(interval - period),
median over runs of 6 to 10 s: 2.0 ms without a lead (5 runs), 0.3 ms with this one (9), of which two stayed above 2."""
WITHOUT_SLACK_S = 0.5
"""A show that never has time is heard of all the same, one late frame each time."""
SLACK_S = 0.004
"""Time to the next deadline that must be left for building a layer or collecting garbage."""


def run(part: Part) -> None:
    """Main of the part `show`."""
    cv2.setNumThreads(1)  # a pool would wake threads of normal priority inside a real-time frame
    clock = SystemClock()
    with ExitStack() as stack:
        display = stack.enter_context(open_display(part.config.display, clock))
        show = Show(part, display, clock, realtime=raise_priority())
        if display.driver == "x11" and not part.config.display.windowed:
            raise_x_server()  # a flip waits for it; on a desktop that is not ours alone it stays as it is
        gc.collect()
        gc.freeze()
        gc.disable()
        show.run()


def open_frames(rate_hz: float | Literal["display"], display: Display, clock: SystemClock) -> FrameClock | VsyncFrames:
    """The one pacer: the screen where it truly blocks at the wanted rate, else absolute deadlines."""
    wanted_hz = (display.refresh_hz or DEFAULT_RATE_HZ) if rate_hz == "display" else rate_hz
    if display.pacer == "vsync" and display.refresh_hz and abs(display.refresh_hz - wanted_hz) <= 1.0:
        return VsyncFrames(clock, rate_hz=display.refresh_hz)
    return FrameClock(clock, rate_hz=wanted_hz)


class Show:
    """Wires scene, display and governor, and runs the loop."""

    def __init__(self, part: Part, display: Display, clock: SystemClock, *, realtime: bool) -> None:
        self._part, self._display, self._clock = part, display, clock
        config = part.config
        self._frames = open_frames(config.rate_hz, display, clock)
        self._time = Timekeeper()
        self._pictures: list[PictureLayer] = []
        self._readers = {
            source: PictureSource(part.reader(source), 1.0 / rate_hz) for source, (_, rate_hz) in config.sources.items()
        }
        scene = part.state.get("scene")
        stage = Stage(config, self._open_layer, start=scene if scene and config.scene(scene) else config.first_scene)
        self._director = Director(part, display, stage)
        self._label = Label(config.label)
        self._governor = Governor(config.governor, rungs=len(config.rungs), period_s=self._frames.period_s)
        self._statistics = FrameStatistics(period_s=self._frames.period_s, warm_up_s=WARM_UP_S)
        self._trace = TraceRing(part.region("trace"))
        self._seen: dict[str, tuple[int, int]] = {}
        self._vblanks: VblankCounter | None = None
        self._counting = False
        self._realtime = realtime
        self._first_model_frame_s: float | None = None
        self._hidden: frozenset[str] = frozenset()
        self._report_due_s = self._slack_s = 0.0
        self._begun_s = now_s()
        self._building = True
        self._lead_s = 0.0
        self._lead_clock = SystemClock(spin_s=LEAD_SPIN_S)

    def _open_layer(self, config: AnyLayerConfig, rng: np.random.Generator) -> Layer:
        layer = open_layer(config, sources=self._readers, rng=rng)
        if isinstance(layer, PictureLayer):
            self._pictures.append(layer)
        return layer

    def run(self) -> None:
        """One frame per pass: wait, hear, look, draw, show, judge, report."""
        part, display = self._part, self._display
        part.board.put("governor.rung", 0.0, now_s())
        while not part.stop.requested:
            tick = self._frames.wait()
            woken_s, begun_cpu_s = now_s(), cpu_s()
            self._director.obey(part.drain(), woken_s)
            self._draw(self._time.advance(tick))
            rendered_s = now_s()
            self._wait_evenly(tick, rendered_s - woken_s)
            display.present()
            presented_s = now_s()
            part.beat(within_s=BEAT_WITHIN_S, did=1)
            self._observe(
                PresentedFrame(
                    tick=tick,
                    woken_s=woken_s,
                    rendered_s=rendered_s,
                    presented_s=presented_s,
                    cpu_s=cpu_s() - begun_cpu_s,
                    captured_s=self._newly_shown(),
                    commanded_s=self._director.take_obeyed(),
                )
            )
            self._use_slack()
        self._report()

    def _wait_evenly(self, tick: Tick, cost_s: float) -> None:
        """Present every frame as long after its deadline as one that takes long to draw, where no screen does so.

        A frame with a new picture takes a millisecond more than one without; the eye sees the interval.
        """
        self._lead_s = min(LONGEST_LEAD_S, max(cost_s, self._lead_s * LEAD_FORGETS))
        if isinstance(self._frames, FrameClock):
            self._lead_clock.sleep_until(tick.now_s + self._lead_s)

    def _draw(self, timeline: Timeline) -> None:
        signals = self._part.board.snapshot(timeline.now_s)
        canvas = self._display.canvas
        self._director.render(canvas, timeline, signals, self._hidden)
        if not self._director.dark:
            self._label.render(canvas)

    def _observe(self, frame: PresentedFrame) -> None:
        """Judge the frame that was just shown."""
        row = self._statistics.observe(frame, rung=self._governor.rung, scene=self._director.scene_index)
        self._trace.write(row)
        signals = self._director.signals
        machine = Machine(signals.number("device.temperature_c"), signals.number("device.memory_free_mb"))
        if self._statistics.presented:  # the first seconds, when everything starts, say nothing of this machine
            change = self._governor.observe(frame.rendered_s - frame.woken_s, frame.tick.missed, machine)
            if change is not None:
                self._step(change)
        if frame.tick.index == 0:
            self._first_picture()

    def _newly_shown(self) -> list[float]:
        """Capture times of the model results that this frame was the first to show."""
        captured_s = []
        for layer in self._pictures:
            if layer.shown is None or not layer.shown[0].startswith("picture."):
                continue
            source, frame = layer.shown
            if self._seen.get(source) != (frame.ring, frame.sequence):
                self._seen[source] = (frame.ring, frame.sequence)
                captured_s.append(frame.captured_s)
        if captured_s and self._first_model_frame_s is None:
            self._first_model_frame_s = round(now_s() - self._part.started_s, 3)
            logs.event("first_model_frame", after_s=self._first_model_frame_s)
        return captured_s

    def _step(self, change: Change) -> None:
        """Take a rung of the ladder: our share here, the workers read theirs off the board."""
        rungs = self._part.config.rungs
        self._display.set_canvas_scale(rungs[change.rung].canvas_scale)
        self._hidden = frozenset(rungs[change.rung].hide)
        self._part.put("governor.rung", float(change.rung))
        logs.event(
            "rung_changed",
            "warning" if change.rung > change.was else "info",
            rung=rungs[change.rung].name,
            was=rungs[change.was].name,
            reason=change.reason,
            p95_ms=round(change.p95_s * 1e3, 2),
        )

    def _use_slack(self) -> None:
        """Between two frames: report, collect garbage, build what is not built. Hardly ever when time is short."""
        if "quit" in self._display.pump():
            self._part.send("supervisor", "quit")
        now = now_s()
        if self._frames.deadline_s - now < SLACK_S and now - self._slack_s < WITHOUT_SLACK_S:
            return
        self._slack_s = now
        if now >= self._report_due_s:
            self._report_due_s = now + REPORT_EVERY_S
            self._report()
            gc.collect()  # microseconds: what was there at start is frozen
        elif self._building:
            self._building = self._director.stage.build_more()
        elif not self._counting and self._statistics.presented:
            self._vblanks, self._counting = open_vblank_counter(), True

    def _first_picture(self) -> None:
        self._report()
        self._part.ready()
        display = self._display
        if not self._realtime:
            logs.event(
                "realtime_refused", "warning", remedy="see `edge-runtime doctor`; frames may come late under load"
            )
        logs.event(
            "first_picture",
            display=display.kind,
            driver=display.driver,
            pacer=display.pacer,
            screen_px=display.screen_px,
        )

    def _report(self) -> None:
        display, director, statistics = self._display, self._director, self._statistics
        vblanks = self._vblanks.vblanks() if self._vblanks else None
        self._part.report(
            {
                "display": {
                    "kind": display.kind,
                    "driver": display.driver,
                    "canvas_px": [display.canvas.shape[1], display.canvas.shape[0]],
                    "screen_px": list(display.screen_px),
                    "refresh_hz": display.refresh_hz,
                    "pacer": display.pacer,
                    "realtime": self._realtime,
                    "vblank": compare(vblanks, presented=statistics.presented, missed=statistics.missed),
                },
                "scene": director.as_json(),
                "governor": {
                    "rung": self._part.config.rungs[self._governor.rung].name,
                    "changes": self._governor.changes,
                },
                "seconds": round(now_s() - self._begun_s, 1),
                "first_model_frame_s": self._first_model_frame_s,
                **statistics.as_json(),
            }
        )
