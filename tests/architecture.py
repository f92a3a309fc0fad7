"""The house rules that a program can check, read from the source with ast.

Each rule is a pure function from a module to what is wrong with it. `test_architecture.py` applies them, and
shows of each that it can fail.
"""

from __future__ import annotations

import ast
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

# Imports go strictly downwards: to a room with a smaller number.
FLOORS = {
    "cli": 7,
    "mcp": 7,
    "web": 7,
    "workspace": 6,
    "verbs": 5,
    "checks": 4,
    "code": 4,
    "conflicts": 4,
    "coordination": 4,
    "data": 4,
    "drills": 4,
    "files": 4,
    "hooks": 4,
    "migrations": 4,
    "schedule": 4,
    "services": 4,
    "settings": 4,
    "database": 3,
    "git": 3,
    "notify": 3,
    "objects": 3,
    "transport": 3,
    "kernel": 2,
    "config": 1,
    "errors": 0,
    "model": 0,
}
# The one exception: the command line starts the other faces.
STARTS = {("cli", "mcp"), ("cli", "web")}
FACES = {"cli", "mcp", "web"}
# Rooms that may import what is not in the standard library before it is used.
HEAVY_ROOMS = {"cli", "web"}

# Programs that other Pythons run: they stand alone, and own their process.
CHILDREN = "migrations/driver/"

LONGEST = 400
MEDIAN = 150

# Dotted names that start processes.
PROCESS = re.compile(
    r"(subprocess|multiprocessing|pty)(\..*)?"
    r"|os\.(exec|spawn|posix_spawn|fork|system|popen|startfile)\w*"
    r"|asyncio(\.subprocess)?\.create_subprocess_\w+|concurrent\.futures\.ProcessPoolExecutor"
)
# Dotted names that change files.
FILES = re.compile(
    r"tempfile(\..*)?|shutil\.(?!disk_usage|get_terminal_size|which)\w+"
    r"|os\.(chmod|chown|fchmod|ftruncate|lchown|link|makedirs|mkdir|mkfifo|mknod|remove|removedirs|removexattr"
    r"|rename|renames|replace|rmdir|sendfile|setxattr|symlink|truncate|unlink|utime|write|writev|pwrite"
    r"|copy_file_range|O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND)"
)
# Methods that only paths have; `rename` and `replace` are looked at with their arguments.
PATH_METHODS = {
    "chmod",
    "hardlink_to",
    "lchmod",
    "mkdir",
    "rmdir",
    "symlink_to",
    "touch",
    "unlink",
    "write_bytes",
    "write_text",
}
OPENERS = {"BZ2File", "FileIO", "GzipFile", "LZMAFile", "TarFile", "ZipFile", "fdopen", "open"}
WRITE_MODE = re.compile(r"(?=.*[wax+])[rwaxbt+|:gz2]+")
SQLITE = re.compile(r"sqlite3(\..*)?")
ENVIRON = re.compile(r"os\.(environb?|getenvb?|putenv|unsetenv)(\..*)?")
HOME = re.compile(r"(pathlib\.Path\.home|os\.path\.expand(user|vars))")
TERMINAL = re.compile(r"sys\.(exit|stdin|stdout|stderr|argv)(\..*)?|os\._exit")
BUILTINS = {"print", "input", "exit", "quit", "breakpoint", "SystemExit"}


@dataclass(frozen=True)
class Module:
    """A module of raccord, given as its path below src/raccord and its source."""

    path: str
    source: str

    @property
    def room(self) -> str:
        """The room it is in; "" for `__init__.py` and `__main__.py`, which are outside."""
        first = self.path.split("/")[0]
        return "" if first in ("__init__.py", "__main__.py") else first.removesuffix(".py")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source, self.path)))

    @cached_property
    def aliases(self) -> dict[str, str]:
        """What each imported name stands for: {"rm": "os.remove"} after `from os import remove as rm`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for name in node.names:
                    bound = name.name if name.asname else name.name.split(".")[0]
                    found[name.asname or bound] = bound
            elif isinstance(node, ast.ImportFrom):
                base = absolute(node, self.path)
                found |= {name.asname or name.name: f"{base}.{name.name}" for name in node.names}
        return found

    def dotted(self, node: ast.AST) -> str:
        """The full name that an expression spells, such as "os.path.expanduser"; "" where it is none."""
        if isinstance(node, ast.Name):
            return self.aliases.get(node.id, "")
        if isinstance(node, ast.Attribute) and (left := self.dotted(node.value)):
            return f"{left}.{node.attr}"
        return ""

    def mentions(self, pattern: re.Pattern[str]) -> Iterator[str]:
        """Each import or use of a name that the pattern matches in full."""
        for node in self.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = list(imported(node, self.path))
            else:
                names = [self.dotted(node)]
            yield from (f"{self.path}:{line(node)}: {name}" for name in names if pattern.fullmatch(name))


def line(node: ast.AST) -> int:
    """The line of a node, for a message."""
    return getattr(node, "lineno", 0)


def absolute(node: ast.ImportFrom, path: str) -> str:
    """The module that `from … import` names, with a relative one made absolute."""
    if not node.level:
        return node.module or ""
    package = ["raccord", *path.split("/")[:-1]]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def imported(node: ast.Import | ast.ImportFrom, path: str) -> Iterator[str]:
    """The dotted names that an import statement brings, the imported attributes included."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names)
    else:
        base = absolute(node, path)
        yield from (f"{base}.{name.name}" for name in node.names)


def imported_by_call(module: Module, node: ast.AST) -> Iterator[str]:
    """The name in `import_module("…")`, or the constant beginning of it."""
    if isinstance(node, ast.Call) and node.args:
        what = module.dotted(node.func) or getattr(node.func, "id", "")
        first = node.args[0]
        if isinstance(first, ast.JoinedStr) and first.values:
            first = first.values[0]
        if what in ("importlib.import_module", "__import__") and isinstance(first, ast.Constant):
            yield str(first.value)


def target_room(name: str) -> str:
    """The room that a dotted name of raccord is in; "" for what is outside every room."""
    parts = name.split(".")
    if parts[0] != "raccord" or len(parts) < 2 or parts[1].startswith("__"):
        return ""
    # `from raccord import Workspace`: the package lends the names of its façade.
    return "workspace" if parts[1][:1].isupper() else parts[1]


def check_direction(module: Module) -> Iterator[str]:
    """Imports go strictly downwards; rooms on one floor do not know each other."""
    if not module.room:
        return
    if module.room not in FLOORS:
        yield f"{module.path}: the room {module.room!r} is on no floor"
        return
    for node in module.nodes:
        names = imported(node, module.path) if isinstance(node, ast.Import | ast.ImportFrom) else ()
        rooms = {target_room(name) for name in [*names, *imported_by_call(module, node)]}
        for room in rooms - {"", module.room}:
            if room not in FLOORS:
                yield f"{module.path}:{line(node)}: imports {room!r}, which is on no floor"
            elif FLOORS[room] >= FLOORS[module.room] and (module.room, room) not in STARTS:
                way = "up" if FLOORS[room] > FLOORS[module.room] else "sideways"
                yield f"{module.path}:{line(node)}: imports {way}, from {module.room} to {room}"


def check_length(module: Module) -> Iterator[str]:
    """No module is longer than a person can hold in the head."""
    count = module.source.count("\n")
    if count > LONGEST:
        yield f"{module.path}: {count} lines, more than {LONGEST}: split it along its ideas"


def check_processes(module: Module) -> Iterator[str]:
    """Only kernel/proc.py starts processes."""
    if module.path != "kernel/proc.py":
        yield from module.mentions(PROCESS)


def check_children(module: Module) -> Iterator[str]:
    """A program for another Python imports the standard library alone, and nobody imports it."""
    for node in module.nodes:
        for name in imported(node, module.path) if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if module.path.startswith(CHILDREN):
                if name.split(".")[0] not in sys.stdlib_module_names | {"__future__"}:
                    yield f"{module.path}:{line(node)}: imports {name}"
            elif f"{name}.".startswith("raccord." + CHILDREN.replace("/", ".")):
                yield f"{module.path}:{line(node)}: imports {name}"


def check_files(module: Module) -> Iterator[str]:
    """Only kernel/fs.py and its parts change files."""
    if re.fullmatch(r"kernel/fs(_\w+)?\.py", module.path) or module.path.startswith(CHILDREN):
        return
    yield from module.mentions(FILES)
    for node in module.nodes:
        if isinstance(node, ast.Call) and writes(module, node):
            yield f"{module.path}:{line(node)}: {ast.unparse(node)}"


def writes(module: Module, call: ast.Call) -> bool:
    """Whether a call changes a file, as far as its name and arguments tell."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in OPENERS:
        given = [*call.args[:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
        modes = [str(arg.value) for arg in given if isinstance(arg, ast.Constant)]
        return any(WRITE_MODE.fullmatch(mode) for mode in modes)
    if not isinstance(call.func, ast.Attribute) or module.dotted(call.func).startswith("raccord."):
        return False  # raccord's own functions: fs.unlink(path)
    # str.replace takes two arguments, datetime.replace and dataclasses.replace take keywords.
    one = len(call.args) == 1 and not call.keywords and not module.dotted(call.func)
    return name in PATH_METHODS or (name in ("rename", "replace") and one)


def check_sqlite(module: Module) -> Iterator[str]:
    """Only kernel/store.py opens the state database, only database/sqlite.py the databases of projects."""
    if module.path not in ("database/sqlite.py", "kernel/store.py"):
        yield from module.mentions(SQLITE)


def check_surroundings(module: Module) -> Iterator[str]:
    """Only faces print, exit, and read the home directory and the environment; config and proc do some."""
    if module.room in FACES or module.room == "" or module.path.startswith(CHILDREN):
        return
    if module.room != "config":
        yield from module.mentions(HOME)
        if module.path != "kernel/proc.py":
            yield from module.mentions(ENVIRON)
        for node in module.nodes:
            if isinstance(node, ast.Attribute) and node.attr == "expanduser":
                yield f"{module.path}:{line(node)}: {ast.unparse(node)}"
    yield from module.mentions(TERMINAL)
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id in BUILTINS:
            yield f"{module.path}:{line(node)}: {node.id}"


def check_heavy(module: Module) -> Iterator[str]:
    """Outside the command line, what is not in the standard library is imported where it is used."""
    if module.room in HEAVY_ROOMS:
        return
    for node in run_on_import(ast.parse(module.source, module.path).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported(node, module.path):
                if name.split(".")[0] not in {*sys.stdlib_module_names, "raccord"}:
                    yield f"{module.path}:{line(node)}: imports {name} at its top"


def run_on_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, those for type checkers left out."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
            yield from run_on_import(statement.orelse)
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from run_on_import(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            yield from run_on_import(handler.body)


def check_lengths(modules: list[Module]) -> Iterator[str]:
    """Most modules are short. Empty ones don't count: they would hide the long ones."""
    lengths = [count for module in modules if (count := module.source.count("\n")) > 1]
    if lengths and (median := statistics.median(lengths)) > MEDIAN:
        yield f"half of the modules have {median:g} lines or more: {MEDIAN} is the most"


Rule = Callable[[Module], Iterator[str]]
RULES: tuple[Rule, ...] = (
    check_children,
    check_direction,
    check_files,
    check_heavy,
    check_length,
    check_processes,
    check_sqlite,
    check_surroundings,
)
