"""Releases: what a box runs, how it gets the next one, and how it gets rid of it.

A release is one signed file. It is unpacked beside the one that runs, rehearsed without touching the screen, switched
to by renaming one symbolic link, watched, and kept or undone by what the show itself counts. Two tracks take the same
way, apart from each other: `runtime` (this program) and `models` (bundles).

A bare box installs its first release from the release's own files, so everything here works with Python's standard
library and cryptography: no pydantic, no numpy, nothing of the show.
"""
