"""matte-square: people cut out of square and upright pictures; see `export.students.matte`."""

from export.students.matte import SQUARE as STUDENT

__all__ = ["STUDENT"]
