"""The runner over small real processes: who ends, who is told, what is shown, what status comes out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Runs the runner over the programs named on its command line: name=code, the first of them main.
RUNNER = """
import os, sys
from varl_bringup.runner.display import Display
from varl_bringup.runner.runner import Process, Runner
words = [word.partition("=") for word in sys.argv[1:]]
main, *others = [Process(name, [sys.executable, "-u", "-c", code]) for name, _, code in words]
names = [process.name for process in (main, *others)]
sys.exit(Runner(main, others, dict(os.environ), Display(names, colour=False, behind_bar=False)).run())
"""
FOREVER = "import time\nprint('up')\nwhile True: time.sleep(0.1)"
STUBBORN = "import signal\nfor n in (2, 15): signal.signal(n, signal.SIG_IGN)\n" + FOREVER
SAVES = """
import signal, sys, time
def save(*_):
    time.sleep(0.5); print('saved'); sys.exit(0)
signal.signal(signal.SIGINT, save)
print('up')
while True: time.sleep(0.1)
"""


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """A word that is in the environment of every process of a test, so that orphans can be found."""
    return f"VARL_TEST_MARKER={tmp_path}"


@pytest.fixture
def start(marker: str) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started = []

    def start_runner(**programs: str) -> "subprocess.Popen[str]":
        words = [f"{name}={code}" for name, code in programs.items()]
        name, _, value = marker.partition("=")
        runner = subprocess.Popen(
            [sys.executable, "-c", RUNNER, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {name: value},
        )
        started.append(runner)
        return runner

    yield start_runner
    for runner in started:
        runner.kill()
        runner.wait()
    for pid in processes_with(marker):
        os.kill(pid, signal.SIGKILL)


def processes_with(marker: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def wait_for_lines(runner: "subprocess.Popen[str]", *texts: str) -> None:
    missing = set(texts)
    assert runner.stdout is not None
    for line in runner.stdout:
        missing -= {text for text in missing if text in line}
        if not missing:
            return
    pytest.fail(f"the runner ended before it showed {missing}")


def gone_within(seconds: float, marker: str) -> bool:
    deadline = time.monotonic() + seconds
    while processes_with(marker):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_ends_well_when_main_does_and_names_each_line(start, marker) -> None:
    runner = start(learner="import time; time.sleep(0.5); print('done')", env=FOREVER)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 0
    assert "learner | done" in output
    assert "env     | up" in output
    assert not processes_with(marker)


def test_status_of_main_is_the_status(start) -> None:
    runner = start(learner="raise SystemExit(7)", env=FOREVER)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 7
    assert "learner ended (status 7): stopping\n" in output  # which need not be a run


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("raise SystemExit(3)", 3, "env ended (status 3)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139, "env ended (killed by SIGSEGV)"),
        ("pass", 1, "env ended (status 0)"),  # a node that just goes away is a failure as well
    ],
)
def test_a_node_that_dies_ends_the_run_with_its_name_and_status(start, marker, code, status, said) -> None:
    runner = start(learner=SAVES, env=code, advisor=FOREVER)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == status
    assert said in output
    assert not processes_with(marker)


def test_the_node_that_died_is_blamed_not_the_learner_that_noticed_first(start) -> None:
    runner = start(
        learner="raise SystemExit(2)", env="import time; time.sleep(0.4); print('last words'); raise SystemExit(5)"
    )
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 5
    assert "env     | last words" in output
    assert "env ended (status 5)" in output


def test_ctrl_c_lets_the_learner_save_and_ends_all(start, marker) -> None:
    runner = start(learner=SAVES, env=STUBBORN)
    wait_for_lines(runner, "env     | up", "learner | up")
    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=60)
    assert runner.returncode == 130
    assert "learner | saved" in output
    assert "env does not end: SIGKILL" in output
    assert not processes_with(marker)


def test_a_killed_runner_leaves_no_orphan_and_still_lets_the_learner_save(start, marker, tmp_path) -> None:
    saves = SAVES.replace("print('saved')", f"open({str(tmp_path / 'saved')!r}, 'w')")
    fork = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\n"
    runner = start(learner=saves, env=fork + FOREVER, advisor=STUBBORN)
    wait_for_lines(runner, "learner | up", "advisor | up")
    runner.kill()
    assert gone_within(12, marker)
    assert (tmp_path / "saved").exists()


def test_what_a_node_started_ends_with_it(start, marker) -> None:
    fork = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n"
    runner = start(learner="import time; time.sleep(1)", env=fork + FOREVER)
    runner.communicate(timeout=60)
    assert runner.returncode == 0
    assert not processes_with(marker)


def test_a_program_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    from varl_bringup.runner.display import Display
    from varl_bringup.runner.runner import Process, Runner
    from varl_common.errors import VarlError

    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    runner = Runner(Process("learner", [str(broken)]), [], {}, Display(["learner"], colour=False, behind_bar=False))
    with pytest.raises(VarlError, match=r"learner: .*broken cannot be started"):
        runner.run()


def test_the_runner_hands_over_to_a_tool_that_takes_the_same_arguments() -> None:
    tool = [sys.executable, "-c", "import sys; from varl_bringup.cli import main; sys.exit(main())", "advisor-eval"]
    shown = subprocess.run([*tool, "--help"], capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0
    assert "params_file" in shown.stdout
    wrong = subprocess.run([*tool, "tsk:=reach"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2
    assert wrong.stderr == "error: unknown argument 'tsk'; did you mean 'task'?\n"


def test_an_advisor_may_come_with_a_package(tmp_path: Path) -> None:
    package = tmp_path / "third_party-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[varl_vlm_advisor.backends]\nmine = third_party:Backend\n")
    tool = [sys.executable, "-c", "import sys; from varl_bringup.cli import main; sys.exit(main())", "train_sim"]
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": path}
    shown = subprocess.run([*tool, "--show-args"], capture_output=True, text=True, timeout=60, env=environment)
    assert "One of: mine, none, openai, replay, scripted, sight, transformers." in shown.stdout
