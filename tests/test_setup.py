"""Set-up: what it refuses, what it repairs, and when it has nothing to do."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.lock"))


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(ROOT / "tools/setup"))
    yield
    for name in ("environment", "host", "prefix", "progress", "report", "workspace"):
        sys.modules.pop(name, None)


def set_up(**variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if name not in ("AMENT_PREFIX_PATH", "ROS_DISTRO")}
    command = [sys.executable, str(ROOT / "tools/setup")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=kept | variables)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ROS_DISTRO": "humble"}, "ROS_DISTRO=humble is not supported; set it to one of: jazzy, kilted"),
        ({"VARL_PYTHON": "/bin/true"}, "VARL_PYTHON=/bin/true is not a Python 3.11 or 3.12"),
        ({"VARL_PYTHON": "/no/such"}, "VARL_PYTHON=/no/such is not a Python 3.11 or 3.12"),
    ],
)
def test_what_it_cannot_work_with_is_one_line(variables: dict[str, str], message: str) -> None:
    result = set_up(**variables)
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def installed_ros(folder: Path, distro: str) -> Path:
    prefix = folder / distro
    (prefix / "share/rclpy").mkdir(parents=True)
    return prefix


def test_a_sourced_install_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import environment
    import host

    prefix = installed_ros(tmp_path, "kilted")
    monkeypatch.setenv("ROS_DISTRO", "kilted")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path / 'overlay'}:{prefix}")
    ros = host.find_ros()
    assert (ros.distro, ros.prefix) == ("kilted", prefix)
    assert [file.name for file in environment.lock_files(ROOT, ros)] == ["python.lock"]


def test_a_venv_that_is_sourced_is_no_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import environment
    import host

    prefix = installed_ros(tmp_path, "venv")
    (prefix / "pyvenv.cfg").touch()
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(prefix))
    ros = host.find_ros()
    assert ros.prefix is None
    assert [file.name for file in environment.lock_files(ROOT, ros)] == ["jazzy.lock", "python.lock"]


def test_a_distribution_other_than_the_sourced_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import host
    from report import SetupError

    monkeypatch.setenv("ROS_DISTRO", "kilted")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(installed_ros(tmp_path, "jazzy")))
    with pytest.raises(SetupError, match="jazzy is sourced"):
        host.find_ros()


@pytest.mark.parametrize("needed", [True, False])
def test_missing_system_packages_are_named_with_the_command(
    needed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import host
    from report import SetupError

    packages = [host.SystemPackage("libthis", lambda: False, needed), host.SystemPackage("libthat", lambda: True)]
    monkeypatch.setattr(host, "_system_packages", lambda python: packages)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if needed:
        with pytest.raises(SetupError, match=r"run: sudo apt-get install -y libthis$"):
            host.install_system_packages(Path(sys.executable), tmp_path / "log")
    else:
        host.install_system_packages(Path(sys.executable), tmp_path / "log")
        assert "sudo apt-get install -y libthis\n" in capsys.readouterr().err


def test_a_command_that_fails_is_quoted_with_the_remedy(tmp_path: Path) -> None:
    from report import SetupError, run

    command = ["sh", "-c", "echo working; echo 'ERROR: no route to host' >&2; echo bye; exit 1"]
    with pytest.raises(
        SetupError, match=r"^sh failed: ERROR: no route to host; check the network \(all it said: .*\)$"
    ):
        run(command, tmp_path / "log", "check the network")


def test_exports_are_pointed_at_the_headers_that_are_here(tmp_path: Path) -> None:
    import prefix

    export = tmp_path / "share/thing/cmake/thingExport.cmake"
    export.parent.mkdir(parents=True)
    built = "/opt/python/cp311-cp311"
    export.write_text(
        f'"{built}/include/python3.11;{built}/lib/python3.11/site-packages/numpy/_core/include;/opt/other"'
    )
    prefix.repair_cmake_exports(tmp_path, "/here/python", "/here/numpy")
    assert export.read_text() == '"/here/python;/here/numpy;/opt/other"'


def test_the_prefix_sources_in_any_shell_and_only_once(tmp_path: Path) -> None:
    import prefix

    prefix.write_setup_files(tmp_path, "jazzy")
    script = f". {tmp_path}/setup.sh; . {tmp_path}/local_setup.sh; echo $ROS_DISTRO $AMENT_PREFIX_PATH $PATH"
    environment = {"PATH": "/usr/bin:/bin", "AMENT_PREFIX_PATH": "/other"}
    for shell in ("sh", "bash"):
        shown = subprocess.run([shell, "-uec", script], capture_output=True, text=True, env=environment, check=True)
        assert shown.stdout.split() == ["jazzy", f"{tmp_path}:/other", f"{tmp_path}/bin:/usr/bin:/bin"]


def test_links_to_modules_that_have_moved_are_removed(tmp_path: Path) -> None:
    import workspace

    (tmp_path / "there.py").touch()
    (tmp_path / "linked.py").symlink_to(tmp_path / "there.py")
    (tmp_path / "dangling.py").symlink_to(tmp_path / "gone.py")
    workspace._remove_dangling_links(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linked.py", "there.py"]


def test_the_workspace_is_built_anew_only_for_what_is_not_linked(tmp_path: Path) -> None:
    import workspace

    module, message = tmp_path / "src/a/a/node.py", tmp_path / "src/b/msg/B.msg"
    for file in (module, message):
        file.parent.mkdir(parents=True)
        file.write_text("1")
    before = workspace._digest(tmp_path)
    module.write_text("2")
    (tmp_path / "src/a/test").mkdir()
    (tmp_path / "src/a/test/test_node.py").touch()
    assert workspace._digest(tmp_path) == before
    message.write_text("2")
    changed = workspace._digest(tmp_path)
    assert changed != before
    (tmp_path / "src/a/a/new.py").touch()
    assert workspace._digest(tmp_path) != changed


@pytest.mark.parametrize("words", [[], ["--packages-only"]])
def test_in_a_workspace_of_the_users_it_brings_the_packages_and_builds_nothing(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import host

    spec = importlib.util.spec_from_file_location("set_up", ROOT / "tools/setup/__main__.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    done: list[str] = []
    monkeypatch.setattr(program, "ROOT", tmp_path)
    monkeypatch.setattr(program, "find_ros", lambda: host.Ros("jazzy", None))
    monkeypatch.setattr(program, "find_python", lambda ros: Path(sys.executable))
    for name in ("install_system_packages", "prepare_environment", "build_workspace"):
        monkeypatch.setattr(program, name, lambda *_, name=name: done.append(name))
    monkeypatch.setattr(sys, "argv", ["tools/setup", *words])
    assert program.main() == 0
    steps = ["install_system_packages", "prepare_environment", "build_workspace"]
    assert done == (steps[:2] if words else steps)
    assert ("venv/bin/activate" in capsys.readouterr().err) == bool(words)


def test_the_bar_tells_what_is_left_of_what_is_done(tmp_path: Path) -> None:
    from progress import STEPS, Bar

    log = tmp_path / "log"
    bar = Bar(log)
    assert bar.share() == 0.0
    bar.step("torch", "^Collecting", 2)
    log.write_text("Collecting torch\n")
    assert bar.share() == pytest.approx(STEPS["torch"] / 2 / sum(STEPS.values()))
    bar.step("packages", "^Collecting", 4)
    assert bar.share() == pytest.approx(STEPS["torch"] / sum(STEPS.values()))
    assert bar.line(0.25, 60.0) == "[#####               ]  25%, 1:00 gone, 3:00 left"
    passed_over = Bar(log)
    passed_over.step("workspace", "^Finished <<<", 2)
    with log.open("a") as file:
        file.write("Finished <<< varl_common\n")
    assert passed_over.share() == 0.5


@pytest.mark.skipif(shutil.which("colcon") is None, reason="colcon is not installed")
def test_a_checkout_in_a_colcon_workspace_is_our_packages_and_nothing_else() -> None:
    listed = subprocess.run(
        ["colcon", "list", "--names-only", "--base-paths", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert sorted(listed) == sorted(path.parent.name for path in (ROOT / "src").glob("*/package.xml"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_locks_pin_every_package_and_no_cuda(lock: Path) -> None:
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9a-z.]*", line), line
        assert not line.startswith(("nvidia-", "cuda-", "triton", "torchvision"))


def test_what_is_asked_for_is_locked() -> None:
    for name in ("jazzy", "kilted", "python"):
        locked = {line.split("==")[0] for line in (ROOT / f"requirements/{name}.lock").read_text().splitlines()}
        wanted = re.findall(r"^([A-Za-z][\w.-]*)", (ROOT / f"requirements/{name}.in").read_text(), re.MULTILINE)
        assert {package.lower().replace("_", "-") for package in wanted} <= locked
