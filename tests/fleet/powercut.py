"""A power cut, played back: what a traced program did to a folder, with everything dropped that was not synced.

The model is harsher than a journalling file system. `sync` makes all that was done last; `fsync` of a folder its names
alone, of a file its bytes alone. At the cut every other name may or may not have reached the disk, each by itself, and
the bytes of a file may all be missing. Source: POSIX fsync; Pillai et al., "All File Systems Are Not Created Equal",
OSDI 2014.
"""

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,writev,copy_file_range,sendfile,ftruncate,truncate,rename,renameat,renameat2,"
    "symlink,symlinkat,link,linkat,mkdir,mkdirat,unlink,unlinkat,rmdir,fsync,fdatasync,sync,syncfs"
)


@dataclass(eq=False)
class Node:
    """A file, folder or symbolic link: as the program sees it, and as the disk has it."""

    kind: str
    target: str = ""
    entries: dict[str, "Node"] = field(default_factory=dict)
    lasting_entries: dict[str, "Node"] = field(default_factory=dict)
    written: bool = False
    """Bytes were written that may not have reached the disk."""
    final: Path | None = None
    """Where its bytes are found when all is done; None for a file that is gone by then."""

    def sync(self) -> None:
        """All of it reaches the disk."""
        self.written = False
        self.lasting_entries = dict(self.entries)
        for node in self.entries.values():
            node.sync()


def read_tree(folder: Path) -> Node:
    """A folder as it lies on a disk at rest."""
    node = Node("folder")
    for entry in os.scandir(folder):
        if entry.is_symlink():
            child = Node("link", target=str(Path(entry.path).readlink()))
        elif entry.is_dir():
            child = read_tree(Path(entry.path))
        else:
            child = Node("file", final=Path(entry.path))
        node.entries[entry.name] = child
    node.lasting_entries = dict(node.entries)
    return node


def trace(command: Sequence[str], log: Path, **keywords: object) -> None:
    """Run a command and write down what it and its children do to files."""
    strace = [
        "strace",
        "-f",
        "-y",
        "-qq",
        "-s",
        "4096",
        "-e",
        f"trace={CALLS}",
        "-e",
        "status=successful",
        "-o",
        str(log),
    ]
    subprocess.run([*strace, *command], check=True, capture_output=True, **keywords)  # type: ignore[call-overload]


class Replay:
    """Follows a trace below one folder; can say at any point what a cut would leave."""

    def __init__(self, root: Path, at_rest: Node, finals: Sequence[Path | None] = ()) -> None:
        """Begin before the first call.

        Args:
            root: the folder that the traced program changed.
            at_rest: as it was before.
            finals: `finals` of an earlier replay that was followed to its end.
        """
        self.root, self.tree = root, at_rest
        self._finals = list(finals)
        self._created: list[Node] = []

    def follow(self, log: Path) -> Iterator[str]:
        """Apply the trace; gives the name of every call that changed something, once it is applied."""
        waiting: dict[str, str] = {}
        for line in log.read_text(errors="replace").splitlines():
            pid, _, call = line.partition(" ")
            call = call.strip()
            if call.endswith("<unfinished ...>"):
                waiting[pid] = call.removesuffix("<unfinished ...>")
                continue
            if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", call):
                call = waiting.pop(pid, "") + resumed[1]
            name = call.partition("(")[0]
            if self._apply(name, call):
                yield name

    @property
    def finals(self) -> list[Path | None]:
        """Where the bytes of every file that was made are found now, in the order they were made."""
        paths: dict[Node, Path] = {}

        def walk(node: Node, folder: Path) -> None:
            for name, child in node.entries.items():
                paths[child] = folder / name
                walk(child, folder / name)

        walk(self.tree, self.root)
        return [paths.get(node) for node in self._created]

    def _apply(self, name: str, call: str) -> bool:
        text = re.findall(r'"((?:[^"\\]|\\.)*)"', call)
        match name:
            case "sync" | "syncfs":
                self.tree.sync()
            case "open" | "openat" | "creat":
                return ("O_CREAT" in call or name == "creat") and self._create(self._of(call, text[0]))
            case "write" | "pwrite64" | "writev" | "ftruncate" | "copy_file_range" | "sendfile" | "fsync" | "fdatasync":
                out = re.findall(r"\d+<([^>]*)>", call)
                node = self._find(Path(out[1] if name == "copy_file_range" else out[0])) if out else None
                if node is None:
                    return False
                if name in {"fsync", "fdatasync"}:
                    node.written = False
                    node.lasting_entries = dict(node.entries)
                else:
                    node.written = True
            case "rename" | "renameat" | "renameat2":
                return self._rename(self._of(call, text[0]), self._of(call, text[1], last=True))
            case "symlink" | "symlinkat":
                return self._enter(self._of(call, text[1]), Node("link", target=text[0]))
            case "mkdir" | "mkdirat":
                return self._enter(self._of(call, text[0]), Node("folder"))
            case "unlink" | "unlinkat" | "rmdir":
                parent, leaf = self._parent(self._of(call, text[0]))
                return parent is not None and parent.entries.pop(leaf, None) is not None
            case "link" | "linkat" | "truncate":
                raise AssertionError(f"not modelled: {call[:200]}")
            case _:
                return False
        return True

    def _of(self, call: str, text: str, *, last: bool = False) -> Path:
        """The path of an argument: absolute, or below the folder that its call names."""
        folders = re.findall(r"(?:AT_FDCWD|\d+)<([^>]*)>", call.rpartition(" = ")[0])
        return Path(folders[-1 if last else 0], text) if folders else Path(text)

    def _parent(self, path: Path) -> tuple[Node | None, str]:
        node = self._find(path.parent)
        return (node if node and node.kind == "folder" else None), path.name

    def _find(self, path: Path) -> Node | None:
        """Follows links, as the kernel does; None for what lies elsewhere."""
        try:
            parts = list(Path(os.path.normpath(path)).relative_to(self.root).parts)
        except ValueError:
            return None
        node: Node | None = self.tree
        above: list[str] = []
        while parts and node is not None:
            name = parts.pop(0)
            node = node.entries.get(name)
            if node is not None and node.kind == "link":
                target = Path(os.path.normpath(self.root.joinpath(*above, node.target)))
                return self._find(target.joinpath(*parts))
            above.append(name)
        return node

    def _enter(self, path: Path, node: Node) -> bool:
        parent, leaf = self._parent(path)
        if parent is None:
            return False
        parent.entries[leaf] = node
        return True

    def _create(self, path: Path) -> bool:
        if self._find(path) is not None or self._parent(path)[0] is None:
            return False
        known = len(self._created) < len(self._finals)
        node = Node("file", final=self._finals[len(self._created)] if known else None)
        self._created.append(node)
        return self._enter(path, node)

    def _rename(self, source: Path, target: Path) -> bool:
        parent, leaf = self._parent(source)
        if parent is None or leaf not in parent.entries:
            return False
        return self._enter(target, parent.entries.pop(leaf))


def cut(node: Node, folder: Path, luck: random.Random, reached: float) -> None:
    """Write what the disk holds after a cut: what lasts, and of the rest each name with the chance `reached`."""
    folder.mkdir(exist_ok=True)
    for name in {**node.lasting_entries, **node.entries}:
        lasting, newest = node.lasting_entries.get(name), node.entries.get(name)
        child = lasting if lasting is newest or luck.random() >= reached else newest
        path = folder / name
        if child is None:
            continue
        if child.kind == "folder":
            cut(child, path, luck, reached)
        elif child.kind == "link":
            path.symlink_to(child.target)
        elif child.final is None or (child.written and luck.random() >= reached):
            path.touch()
        else:
            os.link(child.final, path)


def copy_linked(source: Path, target: Path) -> Path:
    """A copy that shares the bytes: cheap, and true as long as nobody writes into files that are there."""
    shutil.copytree(source, target, symlinks=True, copy_function=os.link)
    (target / ".lock").unlink(missing_ok=True)  # a lock is held on the bytes
    return target
