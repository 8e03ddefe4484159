"""Pages that are written by hand say what is so: each answer names its test, each value is the code's."""

import inspect
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALGORITHM = (ROOT / "docs/algorithm.md").read_text(encoding="utf-8")
QUESTIONS = (ROOT / "docs/questions.md").read_text(encoding="utf-8")
# An answer that is not about what the code does.
NO_TEST = {"Does it need a GPU?", "Which ROS 2?"}


@cache
def names_of_tests() -> frozenset[str]:
    """The names of all tests."""
    files = [*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "src").glob("*/test/**/test_*.py")]
    return frozenset(name for file in files for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE))


def test_each_answer_is_held_by_a_test_that_there_is() -> None:
    answers = re.split(r"^\*\*", QUESTIONS, flags=re.MULTILINE)[1:]
    assert len(answers) > 15
    for answer in answers:
        held = re.search(r"<!-- held by: (.+?) -->", answer, re.DOTALL)
        question = answer.partition("**")[0]
        assert held or question in NO_TEST or "pickled" in question, question
        for name in re.findall(r"test_\w+", held[1] if held else ""):
            assert name in names_of_tests(), f"{question} {name}"


def defaults() -> dict[str, object]:
    from varl_agent.sac.varl import VARL

    parameters = inspect.signature(VARL.__init__).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not inspect.Parameter.empty}


@pytest.mark.parametrize(
    ("said", "name", "value"),
    [
        (r"\| lambda \| 10 to 50 \| ([\d.]+) \|", "guidance_weight", 10.0),
        (r"after (\d+) successful episodes", "cutoff_successes", 100),
        (r"when (\d+) % of the last 20 succeed", "cutoff_rate", 0.9),
        (r"it starts at ([\d.]+), and while advice guides", "ent_coef", "auto_0.02"),
        (r"\| when \| three queries a run \| steps ([\d, and]+) \|", "trigger", (1_000, 3_000, 6_000)),
        (r"\| recent transitions \| (\d+), spread", "states_per_query", 64),
        (r"over the last ([\d,]+) steps \|", "window", 1_000),
        (r"threshold (\d+) nat", "gate_threshold", None),
    ],
)
def test_the_algorithms_values_are_those_that_ship(said: str, name: str, value: object) -> None:
    assert defaults()[name] == value, f"docs/algorithm.md, and this table, still say {value}"
    found = re.search(said, ALGORITHM)
    assert found, said
    written = re.findall(r"\d[\d,]*\.?\d*", found[1].replace(",000", "000"))
    if value is None:
        from varl_agent.sac.gates import make_gate

        assert float(written[0]) == make_gate(str(defaults()["gate"])).threshold
        return
    values = value if isinstance(value, tuple) else (value,)
    expected = [float(str(one).removeprefix("auto_")) for one in values]
    assert [float(one.rstrip(",")) / (100 if name == "cutoff_rate" else 1) for one in written] == expected


def test_what_the_algorithm_names_is_there() -> None:
    """Arguments of the class, classes, and files that are linked."""
    sources = "".join(path.read_text() for path in (ROOT / "src/varl_agent/varl_agent").rglob("*.py"))
    for row in re.findall(r"^\|.*\| (.+?) \|$", ALGORITHM, re.MULTILINE):
        for name in re.findall(r"`(\w+(?:\.\w+)?)`", row):
            assert name in defaults() or all(f"{part}" in sources for part in name.split(".")), name
    for link in re.findall(r"\]\((\.\./src/[^)]+)\)", ALGORITHM):
        assert (ROOT / "docs" / link).is_file(), link
