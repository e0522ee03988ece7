"""Reads the source and fails where it leaves the house's plan.

The plan is the table in CMakeLists.txt (whet_room(NAME USES ...)): a room may include only from itself and from the
rooms that it uses, and no room uses itself by a detour. Beyond the table: libtorch is seen only by src/engine/torch,
which nobody outside src/engine includes; files stay readable in one sitting; none names a path of somebody's machine.
Every check is a function of plain text, so that the tests below can also show it what is forbidden.
"""
import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("WHET_SOURCE_DIR") or pathlib.Path(__file__).resolve().parent.parent)
SOURCE = {".h", ".hpp", ".cpp", ".cc", ".cu", ".cuh"}
TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")
LONGEST = 500
# The folders that hold what people wrote. Models, fonts and vendored scripts are data.
WRITTEN = ["src", "tests", "bench", "cmake", "scripts", "docs", ".ci"]
WRITTEN_FILES = ["CMakeLists.txt", "CMakePresets.json", "Makefile", "README.md"]
TEXT = SOURCE | {".py", ".cmake", ".md", ".txt", ".toml", ".sh", ".js", ".css", ".html", ""}
# Golden values and vendored scripts are generated or copied whole; nobody reads them from top to bottom.
NOT_READ = re.compile(r"^tests/golden/.*\.(json|jsonl|txt|html)$|\.min\.|(^|/)(vendor|third_party)/")


def rooms_of(cmake):
    """The table: room -> set of the rooms it may use."""
    rooms = {}
    for name, uses in re.findall(r"^whet_room\(\s*(\w+)\s+USES\b([^)]*)\)", cmake, re.M):
        rooms[name] = set(uses.split())
    return rooms


def table_faults(rooms):
    """Rooms that are used but not defined, and rooms that reach themselves."""
    faults = [f"{name} uses {used}, which is no room" for name in rooms for used in sorted(rooms[name]) if used not in rooms]
    for name in rooms:
        seen, waiting = set(), list(rooms[name])
        while waiting:
            room = waiting.pop()
            if room not in seen:
                seen.add(room)
                waiting.extend(rooms.get(room, ()))
        if name in seen:
            faults.append(f"{name} uses itself by a detour")
    return faults


def includes_of(text):
    """(line number, included name) of each #include; a commented-out one does not count."""
    text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.S)
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match[2]


def include_faults(path, text, rooms):
    """What a file under src/ includes and must not. `path` is relative to src/, as the includes are."""
    room = path.split("/")[0]
    if room not in rooms:
        return [f"src/{path}: {room} is not a room of CMakeLists.txt"]
    faults = []
    for number, name in includes_of(text):
        place = f"src/{path}:{number}"
        if TORCH.match(name):
            if not path.startswith("engine/torch/"):
                faults.append(f"{place} includes {name}; only src/engine/torch sees libtorch")
            continue
        normal = os.path.normpath(name)
        if normal.startswith(".."):
            faults.append(f"{place} includes {name}; write it from src/ on")
            continue
        target = normal.split("/")[0]
        if "/" not in normal or target not in rooms:
            continue
        if target != room and target not in rooms[room]:
            faults.append(f"{place} includes {name}; {room} may use {', '.join(sorted(rooms[room])) or 'no other room'}")
        elif normal.startswith("engine/torch/") and room != "engine":
            faults.append(f"{place} includes {name}; the engine's inside is for src/engine only")
        elif normal.startswith("engine/torch/") and not path.startswith("engine/torch/"):
            faults.append(f"{place} includes {name}; what `whet` itself links must not need libtorch")
    return faults


def text_faults(path, text):
    """Files that are too long or that name a path of one machine."""
    faults = []
    lines = text.splitlines()
    if len(lines) > LONGEST:
        faults.append(f"{path} has {len(lines)} lines, want <= {LONGEST}")
    for number, line in enumerate(lines, 1):
        match = re.search(r"(?<![\w.~$}/-])/(home|root|srv|Users)/[\w.-]+", line)
        if match:
            faults.append(f"{path}:{number} names {match[0]}, a path of one machine")
    return faults


def source_files():
    return sorted(path for path in (ROOT / "src").rglob("*") if path.suffix in SOURCE)


def written_files():
    found = [ROOT / name for name in WRITTEN_FILES]
    for folder in WRITTEN:
        found += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(found):
        relative = path.relative_to(ROOT).as_posix()
        if path.exists() and path.suffix in TEXT and "__pycache__" not in relative and not NOT_READ.search(relative):
            yield relative, path


class Plan(unittest.TestCase):
    """The tree as it is."""

    @classmethod
    def setUpClass(cls):
        cls.rooms = rooms_of((ROOT / "CMakeLists.txt").read_text(encoding="utf-8"))

    def test_table_is_read_and_has_no_cycle(self):
        self.assertGreaterEqual(len(self.rooms), 12)
        self.assertEqual(self.rooms["base"], set())
        self.assertIn("base", self.rooms["text"])
        self.assertEqual(table_faults(self.rooms), [])

    def test_every_folder_of_source_is_a_room(self):
        folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
        self.assertGreaterEqual(len(folders), 10)
        self.assertEqual(folders - set(self.rooms), set())

    def test_files_include_only_what_the_table_allows(self):
        faults = []
        for path in source_files():
            faults += include_faults(path.relative_to(ROOT / "src").as_posix(), path.read_text(encoding="utf-8"), self.rooms)
        self.assertGreater(len(source_files()), 10)
        self.assertEqual(faults, [])

    def test_files_are_short_and_belong_to_no_machine(self):
        faults = []
        for relative, path in written_files():
            if relative != "tests/architecture_test.py":  # it names such paths below, to be caught
                faults += text_faults(relative, path.read_text(encoding="utf-8"))
        self.assertEqual(faults, [])

    def test_this_file_is_short_too(self):
        lines = pathlib.Path(__file__).read_text(encoding="utf-8").splitlines()
        self.assertLessEqual(len(lines), LONGEST)


class Checks(unittest.TestCase):
    """The checks find what they are for."""

    ROOMS = {"base": set(), "text": {"base"}, "engine": {"base"}, "train": {"base", "text", "engine"}}

    def faults(self, path, *includes):
        return include_faults(path, "".join(f"#include {name}\n" for name in includes), self.ROOMS)

    def test_allowed_includes_pass(self):
        self.assertEqual(self.faults("text/a.cpp", "<vector>", '"base/error.h"', '"text/a.h"', "<sys/stat.h>"), [])
        self.assertEqual(self.faults("train/a.cpp", '"engine/engine.h"'), [])
        self.assertEqual(self.faults("engine/torch/a.cpp", "<ATen/ATen.h>", "<torch/types.h>", '"engine/torch/b.h"'), [])

    def test_arrow_against_the_table_is_found(self):
        self.assertIn("src/base/a.h:2 includes text/answer.h", self.faults("base/a.h", "<vector>", '"text/answer.h"')[0])
        self.assertEqual(len(self.faults("text/a.cpp", '"engine/engine.h"')), 1)
        self.assertEqual(len(self.faults("text/a.cpp", '"base/../engine/engine.h"')), 1)
        self.assertEqual(len(self.faults("text/a.cpp", '"../engine/engine.h"')), 1)
        self.assertEqual(len(self.faults("text/a.cpp", "<engine/engine.h>")), 1)
        self.assertEqual(len(self.faults("cellar/a.cpp", "<vector>")), 1)

    def test_indented_include_is_found(self):
        self.assertEqual(len(include_faults("base/a.h", '  #  include "text/answer.h"\n', self.ROOMS)), 1)

    def test_commented_include_is_not_an_include(self):
        text = '// #include "text/answer.h"\n/*\n#include "text/answer.h"\n*/\n#include "engine/engine.h"\n'
        self.assertEqual([fault.split(" ")[0] for fault in include_faults("base/a.h", text, self.ROOMS)], ["src/base/a.h:5"])

    def test_libtorch_outside_the_engine_is_found(self):
        for name in ["<torch/torch.h>", "<ATen/ATen.h>", "<c10/util/Exception.h>", '"torch/types.h"']:
            self.assertEqual(len(self.faults("train/loop.cpp", name)), 1, name)
            self.assertEqual(len(self.faults("engine/model_config.cpp", name)), 1, name)

    def test_inside_of_the_engine_is_closed(self):
        self.assertEqual(len(self.faults("train/loop.cpp", '"engine/torch/model.h"')), 1)
        self.assertEqual(len(self.faults("engine/loader.cpp", '"engine/torch/model.h"')), 1)

    def test_table_with_a_cycle_or_an_unknown_room_is_found(self):
        self.assertEqual(len(table_faults({"a": {"b"}, "b": {"c"}, "c": {"a"}})), 3)
        self.assertEqual(table_faults({"a": {"z"}}), ["a uses z, which is no room"])
        self.assertEqual(rooms_of("whet_room(a USES)\n  whet_room(x USES y)\nwhet_room(b  USES a\n  c)\n"), {"a": set(), "b": {"a", "c"}})

    def test_long_files_and_machine_paths_are_found(self):
        self.assertEqual(text_faults("src/a.h", "x\n" * LONGEST), [])
        self.assertEqual(len(text_faults("src/a.h", "x\n" * (LONGEST + 1))), 1)
        for path in ["/home/ada/models", "/root/.cache", '"/srv/data"', "/Users/ada/x"]:
            self.assertEqual(len(text_faults("src/a.h", f"auto x = {path};")), 1, path)
        for path in ["~/srv/x", "docs/home/x", "../srv/x", "$HOME/srv/x", "/tmp/x", "https://host/home/x"]:
            self.assertEqual(text_faults("src/a.h", f"auto x = {path};"), [], path)


if __name__ == "__main__":
    unittest.main()
