"""The bench's runs: each is made once, cut off or not, and what cannot be is refused in a sentence."""

import csv
import dataclasses
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from varl_common.errors import VarlError

pytest.importorskip("benchmarks.advice.advisors", reason="run from the repository's root")

from benchmarks.advice import runner, tasks, trainer
from benchmarks.advice.__main__ import main
from benchmarks.advice.environments import make_env
from benchmarks.advice.runner import _keep_finished, _key
from benchmarks.advice.setting import Setting

REPOSITORY = Path(__file__).parents[1]
# What a worker on this machine needs to find this code.
WORKER = {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), *filter(None, sys.path)]), "OMP_NUM_THREADS": "1"}


def bench(out, *arguments):
    main(
        ["--tasks", "reach", "--methods", "sac", "varl", "--steps", "40", "--seeds", "1", "--out", str(out), *arguments]
    )


def test_a_run_that_was_cut_off_is_repeated_and_a_finished_one_is_not(tmp_path):
    evals = tmp_path / "evals.csv"
    row = ["reach", "sac", 0.1, 0, 100, 0, "", 0.0, -1, 0, 0, 0.0, 1.0, "abc"]
    for seed, step in ((0, 50), (0, 100), (1, 50)):
        trainer.append(evals, [[*row[:3], seed, 100, step, *row[6:]]])
    done = _keep_finished(evals)
    finished, cut = (Setting("reach", "sac", seed, 100, 0.1) for seed in (0, 1))
    assert _key(finished) in done
    assert _key(cut) not in done
    assert len(evals.read_text().splitlines()) == 3


def test_a_row_names_the_commit_that_made_it():
    assert re.fullmatch(r"[0-9a-f]{10,}\+?", trainer.commit())


def test_tasks_are_reported_by_the_rule_and_never_those_that_were_tuned_on(monkeypatch):
    random = {"push-v3": 0, "hard-v3": 0, "chance-v3": 1, "unplanned-v3": 0, "drawer-open-v3": 0, "other-v3": 0}
    planned = dict.fromkeys(random, 20) | {"push-v3": 3, "unplanned-v3": 15}
    chosen = tasks.choose(random, planned)
    assert chosen[0] == "push-v3"
    assert set(chosen) == {"push-v3", "hard-v3", "other-v3"}
    assert len(set(tasks.REPORTING)) == tasks.COUNT
    assert not {*tasks.TUNING} & {*tasks.GROUPS["reporting"]}
    again = tasks.choose(dict.fromkeys(tasks.REPORTING, 0), dict.fromkeys(tasks.REPORTING, 20))
    assert again == tasks.REPORTING, "in the order of the rule"
    given: list[Any] = []
    monkeypatch.setattr("benchmarks.advice.__main__.run", given.append)
    main(["--tasks", "reach", "reporting", "--out", "x"])
    assert given[0].tasks == ["reach", *tasks.GROUPS["reporting"]]


def test_a_task_or_method_named_twice_is_trained_once(tmp_path, monkeypatch):
    trained: list[Setting] = []
    monkeypatch.setattr(runner, "_train_all", lambda missing, *_: trained.extend(missing))
    monkeypatch.setattr(runner, "write_report", lambda *_: None)
    bench(tmp_path, "--tasks", "reach", "reach", "--methods", "sac", "sac")
    assert [setting.label for setting in trained] == ["sac"]


def test_who_asks_nobody_or_is_always_wrong_is_trained_at_one_rate_of_errors(tmp_path, monkeypatch):
    trained: list[Setting] = []
    monkeypatch.setattr(runner, "_train_all", lambda missing, *_: trained.extend(missing))
    monkeypatch.setattr(runner, "write_report", lambda *_: None)
    bench(tmp_path, "--methods", "sac", "varl", "varl-wrong-20k", "--error-rate", "0", "0.3")
    rates = [(setting.method, setting.error_rate) for setting in trained]
    assert rates == [("sac", 0.0), ("varl", 0.0), ("varl", 0.3), ("varl-wrong-20k", 0.0)]


def test_a_finished_run_of_another_size_is_not_taken_for_this_one(tmp_path, monkeypatch):
    trained: list[Setting] = []
    monkeypatch.setattr(runner, "_train_all", lambda missing, *_: trained.extend(missing))
    monkeypatch.setattr(runner, "write_report", lambda *_: None)
    for method in ("sac", "varl"):
        trainer.append(tmp_path / "evals.csv", [["reach", method, 0.1, 0, 40, 40, 0.0, 0.0, -1, 0, 0, 0.0, 1.0, "abc"]])
    bench(tmp_path)
    assert not trained
    bench(tmp_path, "--net", "32", "--update-every", "1")
    assert [setting.label for setting in trained] == ["sac[net=32,update_every=1]", "varl[net=32,update_every=1]"]


def test_whatever_differs_is_another_run():
    plain = Setting("reach", "varl", 0, 100, 0.1)
    changes: list[dict[str, Any]] = [
        {"net": 32},
        {"update_every": 1},
        {"misplaced": 0.1},
        {"altered": (("gate", "none"),)},
    ]
    others = [dataclasses.replace(plain, **change) for change in changes]
    assert plain.label == "varl"
    assert others[0].label == "varl[net=32]"
    assert len({_key(setting) for setting in (plain, *others)}) == 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "gate"], "NAME=VALUE"),
        (["--seeds", "0"], "whole number of 1 or more"),
        (["--steps", "-5"], "whole number of 1 or more"),
        (["--net", "0"], "whole number of 1 or more"),
        (["--processes", "0"], "whole number of 1 or more"),
        (["--update-every", "0"], "whole number of 1 or more"),
        (["--error-rate", "1.5"], "share from 0 to 1"),
        (["--misplaced", "-1"], "0 m or more"),
        (["--misplaced", "inf"], "0 m or more"),
        (["--first-seed", "-1"], "whole number of 0 or more"),
        (["--set", "error_rate=1.5"], "share from 0 to 1"),
        (["--set", "_init_setup_model=false"], "unknown setting"),
        (["--set", "gat=none"], "did you mean 'gate'"),
        (["--methods", "rlpd", "--set", "trigger=1000"], "a list of steps"),
    ],
)
def test_an_argument_that_cannot_be_is_refused_in_a_sentence(tmp_path, capsys, arguments, says):
    with pytest.raises(SystemExit) as end:
        bench(tmp_path, *arguments)
    assert says in f"{capsys.readouterr().err} {end.value}"


def test_nobody_elses_file_is_overwritten(tmp_path):
    (tmp_path / "evals.csv").write_text("my,own\n1,2\n")
    with pytest.raises(SystemExit, match="other columns"):
        bench(tmp_path)
    assert (tmp_path / "evals.csv").read_text() == "my,own\n1,2\n"
    with pytest.raises(SystemExit, match="cannot be made"):
        bench(tmp_path / "evals.csv" / "below")


@pytest.mark.slow
def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    command = [sys.executable, "-m", "benchmarks.advice", "--tasks", "reach", "--methods", "sac", "--seeds", "2"]
    command += ["--steps", "200000", "--net", "16", "--processes", "2", "--out", str(tmp_path)]
    parent = subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (tmp_path / "evals.csv").exists(), 120)
        children = [int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()]
        assert len(children) >= 3  # two workers, and who passes their progress on
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not any(alive(pid) for pid in children), 20)


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def alive(pid):
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_unknown_task_or_method_is_refused_in_a_sentence():
    with pytest.raises(VarlError, match="did you mean 'sac'"):
        Setting("reach", "sak", 0, 100, 0.1)
    pytest.importorskip("metaworld")
    with pytest.raises(VarlError, match="did you mean 'coffee-button-v3'"):
        make_env("coffee-buton-v3", 0)


def test_two_workers_of_ray_share_the_runs(tmp_path, monkeypatch):
    """A cluster of this machine alone; its sockets need a short path, so it does not get pytest's."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at Ray's own 15 they starve beside other tests
    with tempfile.TemporaryDirectory(prefix="ray") as sockets:
        ray.init(num_cpus=2, include_dashboard=False, _temp_dir=sockets, runtime_env={"env_vars": WORKER})
        try:
            bench(tmp_path, "--ray-address", "auto")
            bench(tmp_path, "--ray-address", "auto")  # nothing is left
        finally:
            ray.shutdown()
    with (tmp_path / "evals.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["method"] for row in rows if row["step"] == "40") == ["sac", "varl"]
    assert (tmp_path / "report.md").exists()
