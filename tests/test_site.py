"""The documentation's site: it builds with every warning an error, and its generated pages hold what the code has."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HTML = ROOT / "docs/_build/html"
sys.path.insert(0, str(ROOT / "docs"))

from generators.arguments import pages as arguments  # noqa: E402
from generators.errors import catalogue, own_kinds, sources  # noqa: E402
from generators.models import Models  # noqa: E402
from generators.parameters import nodes  # noqa: E402


@pytest.fixture(scope="module")
def site() -> Path:
    """Built, or what is there made anew where its sources changed."""
    environment = [
        sys.executable,
        "-c",
        "import sys; sys.path[:0] = ['docs']; from build import environment; environment()",
    ]
    made = subprocess.run(environment, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"the site's environment cannot be made: {made.stderr.strip().splitlines()[-1]}")
    done = subprocess.run([sys.executable, "docs/build.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return HTML


@pytest.mark.timeout(600)
def test_the_site_is_built_without_a_warning(site: Path) -> None:
    assert (site / "docs/index.html").is_file()
    assert (site / "index.html").is_file()


@pytest.mark.timeout(600)
def test_links_inside_lead_somewhere(site: Path) -> None:
    missing = [
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        for target in re.findall(r'(?:href|src)="([^"#?]+)[#?"]', page.read_text(encoding="utf-8"))
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.timeout(600)
def test_no_page_weighs_over_a_megabyte(site: Path) -> None:
    """With its pictures."""
    for page in site.rglob("*.html"):
        pictures = {(page.parent / name).resolve() for name in re.findall(r'<img[^>]* src="([^"]+)"', page.read_text())}
        assert page.stat().st_size + sum(picture.stat().st_size for picture in pictures) < 1_000_000, page


@pytest.mark.timeout(600)
def test_every_picture_says_what_it_shows(site: Path) -> None:
    for page in (site / "docs").rglob("*.html"):
        for picture in re.findall(r"<img[^>]*>", page.read_text(encoding="utf-8")):
            assert re.search(r'alt="[^"]{5,}"', picture), f"{page}: {picture}"


def test_parameters_are_those_that_the_nodes_declare() -> None:
    """As the nodes' own flattening of their models has them, read without importing them."""
    pytest.importorskip("rclpy")
    from varl_agent.training.settings import LearnerSettings
    from varl_common.ros.node import _flatten
    from varl_robot_env.nodes.env import EnvParameters
    from varl_robot_env.nodes.simulator import SimulatorParameters

    models = Models(ROOT)
    found = nodes(ROOT, models)
    assert {"learner", "env", "simulator", "advisor", "evaluate", "teleop", "calibrate", "perception"} <= set(found)
    for name, model in (("learner", LearnerSettings), ("env", EnvParameters), ("simulator", SimulatorParameters)):
        read = {field.name for field in models.fields(found[name])}
        declared = {name for name, _ in _flatten(model)}
        assert declared <= read, declared - read
        assert all(any(one.startswith(f"{extra}.") for one in read) for extra in read - declared)


def test_every_argument_is_on_the_page() -> None:
    from varl_bringup.graph.programs import PROGRAMS

    (page,) = arguments(ROOT).values()
    for program in PROGRAMS.values():
        assert f"## {program.name}\n" in page
        assert all(f"`{argument.name}`" in page for argument in program.arguments)


def sentences() -> Iterator[str]:
    for sentence in catalogue(ROOT):
        yield f"{sentence.module}:{sentence.line}: {sentence.text}"


def test_the_catalogue_has_the_errors() -> None:
    texts = list(sentences())
    assert len(texts) > 300
    for words in (
        "the safety stop is latched",
        "unknown gate",
        "the way home is blocked",
        "is named twice",
        "is spent",
    ):
        assert any(words in text for text in texts), words


# Where a kind of Python's own is raised: as launch, Python's protocols or a programmer's mistake want it.
OTHERS = {
    ("launch_description", "RuntimeError"),  # how a launch ends with a status that is not 0
    ("checkpoint", "TypeError"),  # a model's attribute of a kind that no checkpoint holds
    ("__init__", "AttributeError"),  # a module's own __getattr__
    ("predicates", "NotImplementedError"),
    ("ros_env", "gymnasium.error.ResetNeeded"),  # as every environment of Gymnasium
}


def test_no_error_is_raised_past_the_catalogue() -> None:
    files = sources(ROOT)
    known = {"ValueError", "KeyboardInterrupt", "ExternalShutdownException", *own_kinds(files)}
    past = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func)
                if name[0].isupper() or ("." in name and not name.startswith("self.")):
                    past |= {(file.stem, name)} if name not in known else set()
    assert past <= OTHERS


def test_an_error_is_one_line() -> None:
    """No sentence has a line's end; what is only a value's text is made by a function that tests of its own look at."""
    assert [text for text in sentences() if "\n" in text] == []


PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"generated", "_build"} & set(page.parts)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_commands_name_exists(page: Path) -> None:
    from varl_bringup.cli import TOOLS
    from varl_bringup.graph.programs import PROGRAMS

    blocks = "\n".join(re.findall(r"```(?:sh|bash)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    known = {argument.name for program in PROGRAMS.values() for argument in program.arguments}
    ours = re.compile(rf"varl ({'|'.join(PROGRAMS)})\b|varl_bringup \w+\.launch\.py|ARGS=")
    given = {name for line in blocks.splitlines() if ours.search(line) for name in re.findall(r"\b(\w+):=", line)}
    assert given <= known
    assert set(re.findall(r"\bvarl ([\w-]+) \w+:=", blocks)) <= {*PROGRAMS, *TOOLS}
    for file in re.findall(r"varl_bringup (\w+\.launch\.py)", blocks):
        assert (ROOT / "launch" / file).is_file()
    for target in re.findall(r"\bmake ([a-z][a-z-]*)", blocks):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
