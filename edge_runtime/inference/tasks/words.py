"""WordPiece: a sentence as the numbers of its pieces. Source: BERT's uncased tokeniser (Devlin and others, 2018)."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

UNKNOWN = 0
"""The number of the first line, which stands for whatever the vocabulary cannot spell."""
_LONGEST_WORD = 40


class Words:
    """A vocabulary of whole words and of pieces that continue one (`##ing`), one a line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._numbers = {line: number for number, line in enumerate(lines)}

    @classmethod
    def read(cls, path: Path) -> "Words":
        """From a text file."""
        return cls(path.read_text(encoding="utf-8").splitlines())

    def numbers(self, sentence: str, at_most: int) -> list[int]:
        """The first `at_most` pieces of a sentence, in small letters and without accents."""
        plain = "".join(c for c in unicodedata.normalize("NFD", sentence.lower()) if unicodedata.category(c) != "Mn")
        spaced = "".join(c if c.isalnum() else f" {c} " if c.isprintable() else " " for c in plain)
        found: list[int] = []
        for word in spaced.split():
            found += self._pieces(word)
            if len(found) >= at_most:
                break
        return found[:at_most]

    def _pieces(self, word: str) -> list[int]:
        """The longest piece first, again and again; a word that cannot be spelt is one unknown."""
        if len(word) > _LONGEST_WORD:
            return [UNKNOWN]
        found, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            end = next((e for e in range(len(word), start, -1) if mark + word[start:e] in self._numbers), None)
            if end is None:
                return [UNKNOWN]
            found.append(self._numbers[mark + word[start:end]])
            start = end
        return found
