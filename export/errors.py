"""What stops an export: one sentence that names what failed, the value seen and the remedy."""


class ExportError(Exception):
    """A source, a student or a bundle is not what it should be."""
