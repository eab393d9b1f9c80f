"""From paths to one tree: reading, `include`, and what several files may not both define."""

from __future__ import annotations

from pathlib import PurePosixPath

from msgspec import Struct, field

from fleetd.config.kinds import NAME, Line
from fleetd.config.ports import Source
from fleetd.config.problems import Problem, Unfit, Where
from fleetd.config.reader import Reader, kind_of
from fleetd.config.suggestions import nearest
from fleetd.config.tables import ListOf
from fleetd.config.tree import Node, parse

NAMED = ("broker", "pool", "framework")
SINGLE = ("fleet", "daemon", "defaults")
TOP_LEVEL = ("include", *SINGLE, *NAMED, "alert")
_INCLUDE = ListOf(Line("path"), "list of paths")
_WILD = "*?["
_MISPLACED = f"the top level takes {', '.join(TOP_LEVEL)}; keys of a pool go under [pool.NAME]"


class Document(Struct):
    """All files as one: single tables and named ones by (kind, name), alerts in their order."""

    files: list[str] = field(default_factory=list)
    single: dict[str, Node] = field(default_factory=dict)
    named: dict[str, dict[str, Node]] = field(default_factory=lambda: {kind: {} for kind in NAMED})
    alerts: list[Node] = field(default_factory=list)
    complete: bool = True  # False: a file could not be read, so that what seems to be missing may be there


def gather(paths: tuple[str, ...], source: Source, reader: Reader) -> Document:
    """Read the files and all that they include."""
    gathering = _Gathering(source, reader)
    for path in paths:
        if source.same(path) in gathering.seen:
            reader.add(Problem(Where(path), "", "the file is given twice", "name it once"))
        else:
            gathering.file(path, None, ())
    return gathering.document


class _Gathering:
    def __init__(self, source: Source, reader: Reader) -> None:
        self.source = source
        self.reader = reader
        self.document = Document()
        self.seen: dict[str, str] = {}  # one spelling of a path -> where it was included

    def file(self, path: str, asked: Node | None, within: tuple[str, ...]) -> None:
        """Take in one file; `asked` is the include that named it, `within` the files on the way to here."""
        same = self.source.same(path)
        self.seen[same] = str(asked.where) if asked else "the command line"
        self.document.files.append(path)
        tree = self.tree(path, asked)
        if tree is None:
            self.document.complete = False
            return
        for key, node in tree.value.items():
            self.top(key, node)
        if "include" in tree.value:
            for pattern in self.reader.read(tree.value["include"], _INCLUDE) or ():
                self.include(pattern.value, pattern.shown, tree.value["include"], (*within, same))

    def tree(self, path: str, asked: Node | None) -> Node | None:
        try:
            text = self.source.read(path)
        except OSError as error:
            message = f"cannot be read: {error.strerror or type(error).__name__}"
            self.reader.add(asked.problem(f"{path} {message}") if asked else Problem(Where(path), "", message))
            return None
        except UnicodeDecodeError:
            self.reader.add(Problem(Where(path), "", "is not UTF-8 text", "save it as UTF-8"))
            return None
        tree = parse(text, path)
        if isinstance(tree, Problem):
            self.reader.add(tree)
            return None
        return tree

    def include(self, pattern: str, shown: str, asked: Node, within: tuple[str, ...]) -> None:
        beside = PurePosixPath(asked.where.file).parent
        asked = next((each for each in asked.value if each.value == shown), asked)
        found = self.source.glob(str(beside / pattern))
        if not found and not any(character in pattern for character in _WILD):
            self.document.complete = False
            self.reader.problem(asked, f"there is no file {shown}", "correct the path, which is relative to this file")
        for path in found:
            same = self.source.same(path)
            if same in within:
                self.reader.problem(asked, f"{path} includes itself", "leave it out")
            elif same in self.seen:
                self.reader.problem(asked, f"{path} is included twice, first by {self.seen[same]}", "include it once")
            else:
                self.file(path, asked, within)

    def top(self, key: str, node: Node) -> None:
        """One top-level key of a file."""
        if key == "include":
            return
        if key in SINGLE:
            if self.is_table(node):
                self.once(self.document.single, key, node)
        elif key in NAMED:
            if self.is_table(node):
                for name, each in node.value.items():
                    if self.is_named(name, each) and self.is_table(each):
                        self.once(self.document.named[key], name, each)
        elif key == "alert":
            if isinstance(node.value, list) and all(isinstance(each.value, dict) for each in node.value):
                self.document.alerts += node.value
            else:
                self.reader.problem(node, "is not an array of tables", "write [[alert]]")
        else:
            near = nearest(key, TOP_LEVEL)
            self.reader.problem(node, "unknown key", f"did you mean {near}?" if near else _MISPLACED)

    def once(self, tables: dict[str, Node], name: str, node: Node) -> None:
        first = tables.setdefault(name, node)
        if first is not node:
            self.reader.problem(node, f"defined twice, first at {first.where}", "keep one of them")

    def is_table(self, node: Node) -> bool:
        if not isinstance(node.value, dict):
            self.reader.problem(node, f"{kind_of(node.value)}, where a table is wanted", f"write [{node.key}]")
            return False
        return True

    def is_named(self, name: str, node: Node) -> bool:
        try:
            NAME.check(name)
        except Unfit as unfit:
            self.reader.problem(node, unfit.message, unfit.remedy)
            return False
        return True
