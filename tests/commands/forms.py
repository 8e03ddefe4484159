"""The quick form of each command: the same command, with arguments that make it short.

A command that no form names runs as it is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .pages import ROOT

TRAINING = {"steps": "60", "params_file": "quick.yaml"}
TEACHING = {"device": "cpu", "count": "2", "steps": "1", "pointing": "1", "batch": "2", "judge": "0"}
TINY = TEACHING | {"model": "my_model"}
# What sets up and enters is left out: the test runs in what it has set up and entered.
MAKE = {"make ": "make SETUP=true ENTER=: "}
MINE = {r"robot:=ur5e( |$)": r"robot:=my_arm.yaml\1"}


@dataclass(frozen=True)
class Form:
    """What of a command is made quick, and what it needs."""

    command: str
    """A regular expression of its beginning; the first form that matches counts."""
    given: dict[str, str] = field(default_factory=dict)
    """Arguments, name:=value."""
    words: dict[str, str] = field(default_factory=dict)
    """What is replaced: regular expressions, and by what."""
    needs: tuple[str, ...] = ()
    """What must be there: of ``NEEDS``, or a graph of ``GRAPHS`` that is up meanwhile."""
    then: str = ""
    """A command after it, so that what needs the same finds it as it was."""
    says: str = ""
    """A regular expression of what it must say."""
    itself: bool = True
    """Whether it is run, or is what its graph was brought up with."""


def started(program: str) -> str:
    """A program of the graph, however it is started."""
    return rf"(varl {program}|ros2 launch varl_bringup {program}\.launch\.py)\b"


REARM = "ros2 service call /env/rearm std_srvs/srv/Trigger"
RELEASE = f'ros2 topic pub --once /env/estop std_msgs/msg/Bool "{{data: false}}"; {REARM}'
FORMS = (
    Form(r".*--show-args", says="Arguments"),
    Form(
        r"make build",
        words={"make": f"unset AMENT_PREFIX_PATH ROS_DISTRO; make -C {ROOT}"},
        needs=("a set-up of its own",),
    ),
    Form(r"make test", words={**MAKE, " test": ' -o lint test ARGS="-q tests/test_house.py"'}, says=r"\d passed"),
    Form(r"make train-sim", TRAINING, MAKE, says="steps .* 60 in"),
    Form(r"make evaluate", {"episodes": "1"}, MAKE, ("a run",), says="of 1 episode"),
    Form(r"source \.ros", words={r"\.ros": f"{ROOT}/.ros"}, needs=("a set-up of its own",)),
    Form(f"{started('train_real')}.* run_dir:=runs/watched", needs=("a training",), itself=False),
    Form(f"{started('train_real')}.* start_from:=", TRAINING, needs=("an arm", "simulated"), says="steps .* 60 in"),
    Form(f"{started('train_real')}.* robot:=", TRAINING, MINE, ("an arm",), says="steps .* 60 in"),
    Form(f"{started('train_sim')}.* demonstrations:=", TRAINING, needs=("pip", "extras", "a run", "a dataset")),
    Form(f"{started('train_sim')}.* observation:=pixels", TRAINING, says="steps .* 60 in"),
    Form(f"{started('train_sim')}.* viewer:=", TRAINING, needs=("pip", "extras"), says="steps .* 60 in"),
    Form(started("train_(sim|real)"), TRAINING, says="steps .* 60 in"),
    Form(started("evaluate"), {"episodes": "1"}, needs=("a run",), says="of 1 episode"),
    Form(f"{started('deploy')}.* start:=goal", needs=("a run", "deploy"), itself=False),
    Form(
        f"{started('deploy')}.* backend:=real",
        {"episodes": "1", "robot": "my_varl_arm.yaml", "run": "runs/reach-demonstrations"},
        needs=("a run", "an arm like ours"),
    ),
    Form(started("deploy"), {"episodes": "1"}, needs=("a run",)),
    Form(started("check"), needs=("an arm",)),
    Form(started("teleop"), needs=("teleop",), itself=False),
    Form(started("calibrate"), needs=("calibrate",), itself=False),
    Form(started("collect"), {"episodes": "1"}, says="moments are kept"),
    Form(r"varl train-classifier", {"steps": "2"}, needs=("moments",), says="in episodes not seen"),
    Form(r"varl dataset .*bag", words={"runs/latest": "runs/reach-demonstrations"}, needs=("pip", "extras", "a run")),
    Form(r"varl dataset", needs=("pip", "extras", "a run")),
    Form(r"varl export", needs=("pip", "extras", "a run")),
    Form(r"varl advisor-eval", {"count": "1"}),
    # Any free port, as others may have 8000 here; it serves until it is told to end.
    Form(
        r"python -m varl_vlm_advisor\.testing\.server",
        words={"python": "timeout --preserve-status -s INT 5 python", " 8000": ""},
        says="answers at",
    ),
    Form(r"varl advisor-train .*states:=", TINY, needs=("a model", "states")),
    Form(
        r"varl advisor-train .*demonstrations:=",
        TINY | {"demonstrations": "datasets/pictured"},
        needs=("pip", "extras", "a run", "a model", "pictures"),
    ),
    Form(r"varl advisor-train .*model:=", TINY, needs=("a model",)),
    Form(r"varl advisor-train", TEACHING),
    Form(r"ros2 topic pub --once /env/estop", needs=("a training",), then=RELEASE, says="success=True"),
    Form(r"ros2 service call /env/stop", needs=("a training",), then=REARM, says="success=True.*success=True"),
    Form(r"ros2 \w+ \w+ (--once )?/(learner|env)/", needs=("a training",)),
    Form(r"ros2 topic hz", needs=("an arm",), says="average rate"),
    Form(r"ros2 service call /find_limits", needs=("find_limits",), says="message='.+'"),
    Form(r"ros2 service call /calibrate", needs=("calibrate",), says="message='.+'"),
    Form(r"ros2 action", words={"episodes: 5": "episodes: 1"}, needs=("a run", "deploy"), says="successes"),
    Form(r"ros2 run varl_robot_env standin_driver", needs=("an arm",), itself=False),
    Form(r"ros2 param set /standin_driver", needs=("an arm",), says="successful"),
    Form(r"ros2 service call /(standin_driver|io_and)", needs=("an arm",), says="success=True"),
    Form(r"ros2 run varl_robot_env markers", needs=("a training",), itself=False),
    Form(r"python docs/pictures/draw.py", needs=("a training",), says="armed"),
    Form(r"git clone", words={"<this repository>": f"--quiet {ROOT}", "src/varl": "cloned/src/varl"}),
    Form(r"(python3|source) src/varl", words={"src/varl": str(ROOT)}, needs=("a set-up of its own",)),
    Form(
        r"colcon build",
        words={"colcon": "cd workspace; colcon", "build": "build --packages-select varl_common"},
        needs=("a workspace",),
    ),
    Form(r"source install", words={"install": "workspace/install"}, needs=("a workspace",)),
    Form(r"pre-commit"),
    Form(r"for package", words={" varl_agent varl_vlm_advisor": ""}, needs=("pip",), says="Successfully built"),
    Form(r"twine", needs=("pip", "wheels"), says="PASSED"),
    Form(
        r"pip install .*--find-links",
        words={"install": "install --no-deps --ignore-installed"},
        needs=("pip", "wheels"),
    ),
    Form(r"pip install", needs=("pip",)),
    Form(r"python -c", words={r"learn\(1000\)": "learn(50)"}, needs=("pip", "wheels")),
)


def form_of(command: str) -> Form:
    return next((form for form in FORMS if re.match(form.command, command)), Form(command=""))


def quick(command: str, form: Form) -> str:
    """The command as it is run."""
    for old, new in form.words.items():
        command = re.sub(old, new, command, count=1)
    for name, value in form.given.items():
        if name == "params_file" and f"{name}:=" in command:
            continue  # the page's own, to which the machine adds what makes it quick
        if command.startswith("make"):
            command = command if "ARGS=" in command else f'{command} ARGS=""'
            command = re.sub(r'ARGS="(.*)"', lambda found: f'ARGS="{_with(found[1], name, value)}"', command)  # noqa: B023
        else:
            command = _with(command, name, value)
    return f"{command}; {form.then}" if form.then else command


def _with(arguments: str, name: str, value: str) -> str:
    changed, count = re.subn(rf"\b{name}:=\S+", lambda _: f"{name}:={value}", arguments)
    return changed if count else f"{arguments} {name}:={value}".strip()


def comes_to(command: str) -> str:
    """What is run in the end: ``make train-sim`` and ``ros2 launch`` come to the same as ``varl train_sim``."""
    recipe = re.match(r'make .*(train-sim|evaluate).* ARGS="(.*)"$', command)
    if recipe:
        command = f"varl {recipe[1].replace('-', '_')} {recipe[2]}"
    command = re.sub(r"^ros2 launch varl_bringup (\w+)\.launch\.py", r"varl \1", command)
    command = re.sub(r" (task:=reach|run:=runs/latest)\b", "", command)
    return " ".join(sorted(command.split())) if command.startswith("varl") else command
