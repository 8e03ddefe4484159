"""What the code imports: launch files only what a plain ROS 2 has, and packages only what they declare."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PACKAGES = sorted(path.parent.name for path in (ROOT / "src").glob("*/package.xml"))
KEYS = yaml.safe_load((ROOT / "requirements/rosdep.yaml").read_text(encoding="utf-8"))
# What the Python of an installed ROS 2 has, on which `ros2 launch` runs.
PLAIN_ROS = {"launch", "launch_ros", "ament_index_python", "yaml"}
# Of a message package's own Python module, which rosidl makes.
GENERATED = {"varl_interfaces"}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or later: dotted names, with those that may be attributes."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            assert "test" in file.parts, f"{file}: relative imports are not followed by this test"
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("import_module", "importorskip"):
            yield from (str(word.value) for word in node.args[:1] if isinstance(word, ast.Constant))


def sources(module: str) -> list[Path]:
    """The files that importing one of our modules runs: its packages' and its own; none of a name inside a module."""
    parts, files = module.split("."), []
    for count in range(1, len(parts) + 1):
        path = ROOT / "src" / parts[0] / Path(*parts[:count])
        files += [file for file in (path / "__init__.py", path.with_suffix(".py")) if file.is_file()]
    return files


def foreign(start: list[Path]) -> dict[str, Path]:
    """What these files need from elsewhere, through our own code: each top-level module, and a file that imports it."""
    needed: dict[str, Path] = {}
    waiting, seen = list(start), set(start)
    while waiting:
        file = waiting.pop()
        for module in imports(file):
            top = module.partition(".")[0]
            if top in PACKAGES:
                new = [source for source in sources(module) if source not in seen]
                seen.update(new)
                waiting += new
            elif top not in sys.stdlib_module_names:
                needed[top] = file
    return needed


@pytest.mark.parametrize("file", sorted((ROOT / "launch").glob("*.py")), ids=lambda path: path.stem)
def test_a_launch_file_needs_nothing_that_a_plain_ros_lacks(file: Path) -> None:
    assert {module: str(by) for module, by in foreign([file]).items() if module not in PLAIN_ROS} == {}


def test_what_the_launch_files_need_is_followed_through_our_code() -> None:
    needed = foreign([ROOT / "src/varl_bringup/varl_bringup/graph/programs.py"])
    assert {"yaml", "ament_index_python"} <= set(needed)
    assert "pydantic" in foreign([ROOT / "src/varl_robot_env/varl_robot_env/nodes/env.py"])


def declared(package: str, *kinds: str) -> set[str]:
    root = ElementTree.parse(ROOT / "src" / package / "package.xml").getroot()
    return {item.text or "" for item in root if item.tag in kinds}


def keys_of(package: str, tests: bool) -> dict[str, Path]:
    """The rosdep keys of what a package's modules, or its tests, import."""
    folder = ROOT / "src" / package
    known = {package, *sys.stdlib_module_names, *KEYS["without_key"]}
    found: dict[str, Path] = {}
    for file in folder.rglob("*.py"):
        if file.name == "setup.py" or (("test" in file.relative_to(folder).parts[:1]) is not tests):
            continue
        for module in imports(file):
            top = module.partition(".")[0]
            if top not in known:
                found[KEYS["modules"].get(top, top)] = file
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_imports_it_depends_on(package: str) -> None:
    run = declared(package, "depend", "exec_depend")
    assert {key: str(by) for key, by in keys_of(package, tests=False).items() if key not in run} == {}
    test = run | declared(package, "test_depend")
    assert {key: str(by) for key, by in keys_of(package, tests=True).items() if key not in test} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_depends_on_it_uses(package: str) -> None:
    if package in GENERATED:
        return
    started = set(KEYS["started"].get(package, ()))
    run, test = declared(package, "depend", "exec_depend"), declared(package, "test_depend")
    assert run - started - set(keys_of(package, tests=False)) == set()
    assert test - started - set(keys_of(package, tests=True)) == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_key_is_one_that_rosdep_resolves(package: str) -> None:
    """requirements/rosdep.yaml was made from rosdistro's files; a key that is not in it has not been looked up."""
    kinds = ("depend", "build_depend", "buildtool_depend", "exec_depend", "test_depend")
    assert declared(package, *kinds) - set(PACKAGES) <= set(KEYS["ros"]) | set(KEYS["python"])
