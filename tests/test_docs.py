"""What the README says is there, is there."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from varl_bringup.graph.programs import PROGRAMS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HARDWARE = (ROOT / "docs/hardware.md").read_text(encoding="utf-8")
EXAMPLES = (ROOT / "docs/examples.md").read_text(encoding="utf-8")
PIXELS = (ROOT / "docs/pixels.md").read_text(encoding="utf-8")
PAGES = {**dict.fromkeys(("check", "find_limits", "teleop", "calibrate"), HARDWARE), "env": EXAMPLES, "collect": PIXELS}
TABLES = {name: f"argument of `{name}`" for name in PROGRAMS} | dict.fromkeys(
    ("train_sim", "train_real"), "argument of `train_sim`, `train_real`"
)
PACKAGES = {path.name for path in (ROOT / "src").iterdir() if (path / "package.xml").is_file()}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def rows(heading: str, page: str = README) -> list[list[str]]:
    """Cells of the page's table whose first column has that heading."""
    lines = page.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    table = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return table


def code(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    assert {"train-sim", "test", "evaluate", "build"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_the_default_run_of_evaluate_is_that_of_the_makefile() -> None:
    assert re.search(r"^RUN \?= runs/latest$", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_every_launch_argument_is_in_the_table_with_its_default_and_choices(name: str) -> None:
    table = {argument: row for row in rows(TABLES[name], PAGES.get(name, README)) for argument in code(row[0])}
    assert set(table) == {argument.name for argument in PROGRAMS[name].arguments}
    for argument in PROGRAMS[name].arguments:
        _, default, meaning = table[argument.name]
        if "as above" not in default:
            assert (argument.default in code(default)) or (not argument.default and not default), argument.name
            if argument.choices and argument.name in ("backend", "advisor"):
                assert set(argument.choices) <= set(code(meaning)), argument.name


def test_arguments_in_commands_exist() -> None:
    known = {argument.name for program in PROGRAMS.values() for argument in program.arguments}
    assert set(re.findall(r"\b(\w+):=", README)) <= known
    assert set(re.findall(r"varl (\w+) \w+:=", README)) <= set(PROGRAMS)
    for file in re.findall(r"(\w+\.launch\.py)", README):
        assert (ROOT / "launch" / file).is_file()


def test_files_and_packages_that_are_named_exist() -> None:
    for path in re.findall(r"`(config/[\w./]+)`", README):
        assert (ROOT / path).exists(), path
    assert {row[0].strip("`") for row in rows("package")} == {path.name for path in (ROOT / "src").iterdir()}


def test_files_that_contributing_names_exist() -> None:
    text = re.sub(r"```.*?```", "", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    paths = [path for path in code(text) if re.fullmatch(r"[\w.-]+(/[\w.-]*)+|[A-Z]\w+\.md", path)]
    assert len(paths) > 15
    for path in paths:
        inside = any((ROOT / "src" / package / package / path).exists() for package in PACKAGES)
        assert (ROOT / path).exists() or inside or path.startswith(".ros/"), path
    assert {row[0].strip("`") for row in rows("package", text)} == PACKAGES - {"varl_interfaces"}
    for row in rows("package", text):
        package = row[0].strip("`")
        for room in re.findall(r"`(\w+/|\w+\.py)`", row[1]):
            assert (ROOT / "src" / package / package / room).exists(), f"{package}: {room}"
    for target in re.findall(r"\bmake ([a-z][a-z-]*)", text):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_variables_of_the_set_up_are_read() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tools/setup").glob("*.py"))
    for row in rows("variable"):
        assert row[0].strip("`") in sources


@pytest.fixture
def graph(domain: int, tmp_path: Path) -> Iterator[None]:
    """The default graph, training."""
    quick = ROOT / "tests/quick.yaml"
    words = ["varl", "train_sim", "advisor:=scripted", "steps:=1000000"]
    words += [f"params_file:={quick}", f"run_dir:={tmp_path / 'run'}"]
    with (tmp_path / "log").open("wb") as log:
        runner = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ)
    yield
    runner.send_signal(signal.SIGINT)
    runner.wait(20)


def test_topics_and_services_in_the_table_exist(graph: None, ros: int, tmp_path: Path) -> None:
    import rclpy

    table = rows("node")
    services = {absolute(name) for row in table for name in code(row[2])}
    topics = {absolute(name) for row in table for name in code(row[3])}
    watcher = rclpy.create_node("watcher")
    deadline = time.monotonic() + 60
    missing = services | topics
    while missing and time.monotonic() < deadline:
        time.sleep(0.2)
        missing = services - {name for name, _ in watcher.get_service_names_and_types()}
        missing |= topics - {name for name, _ in watcher.get_topic_names_and_types()}
    watcher.destroy_node()
    assert not missing, (tmp_path / "log").read_text()


def test_the_reference_has_every_service_of_a_node() -> None:
    page = (ROOT / "docs/reference/nodes.md").read_text(encoding="utf-8")
    code_files = [path for path in (ROOT / "src").glob("varl_*/varl_*/**/*.py") if "standin" not in path.parts]
    offered = {name for path in code_files for name in re.findall(r'create_service\(\w+, "~/(\w+)"', path.read_text())}
    offered |= {"success", "veto", "nearly", "ready", "pause", "resume", "save"}  # made in a loop
    assert len(offered) > 15
    assert [name for name in sorted(offered) if f"/{name}`" not in page] == []


def absolute(name: str) -> str:
    return name if name.startswith("/") else f"/{name}"


def test_every_node_is_on_diagnostics() -> None:
    """But the stand-ins, which speak the topics of a vendor's driver and no others."""
    files = [
        path
        for path in (ROOT / "src").glob("*/*/**/*.py")
        if not {"test", "standin"} & set(path.relative_to(ROOT).parts)
    ]
    nodes = [path for path in files if re.search(r"^class \w+\(\w*Node\):", path.read_text(), re.M)]
    assert len(nodes) > 9
    for path in nodes:
        text = path.read_text(encoding="utf-8")
        assert "Diagnostics(self," in text or "StatusTopic(self," in text, path
