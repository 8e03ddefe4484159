"""The house: rooms of a size that fits in the head, tests beside what they test, imports one way."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {path.parent.name: path.parent for path in sorted((ROOT / "src").glob("*/*/__init__.py"))}
ROOMS = sorted({path.parent for package in PACKAGES.values() for path in package.rglob("*.py")})
MODULES = sorted(path for package in PACKAGES.values() for path in package.rglob("*.py"))
MOST_MODULES = 14
MOST_LINES = 350


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT / "src")) for path in paths]


def test_the_packages_are_found() -> None:
    assert {"varl_common", "varl_robot_env", "varl_agent", "varl_vlm_advisor", "varl_bringup"} <= set(PACKAGES)


@pytest.mark.parametrize("room", ROOMS, ids=names(ROOMS))
def test_a_room_is_not_crowded(room: Path) -> None:
    modules = [path.name for path in room.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES, f"{len(modules)} modules, expected at most {MOST_MODULES}: {sorted(modules)}"


@pytest.mark.parametrize("room", ROOMS, ids=names(ROOMS))
def test_a_room_says_what_it_is_for(room: Path) -> None:
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text())), "its __init__.py has no docstring"


@pytest.mark.parametrize("module", MODULES, ids=names(MODULES))
def test_a_module_fits_in_the_head(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= MOST_LINES, f"more than {MOST_LINES} lines: look for its second idea"
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "no docstring"


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES)
def test_tests_stand_in_the_rooms_that_they_test(package: Path) -> None:
    folders = {path.parent for path in (package.parent / "test").rglob("test_*.py")} - {package.parent / "test"}
    strangers = [str(path) for path in folders if not (package / path.relative_to(package.parent / "test")).is_dir()]
    assert not strangers, f"no room of {package.name} has that name"


def test_imports_go_one_way() -> None:
    """The contracts of pyproject.toml, [tool.importlinter]."""
    pytest.importorskip("importlinter")
    main = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", main, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
