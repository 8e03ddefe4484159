"""What pip installs, without ROS: the dependencies that the code has, and a VARL that learns."""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from email.message import Message
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

from .test_dependencies import ROOT, imports

PACKAGES = ("varl_common", "varl_agent", "varl_vlm_advisor")
# Rooms that need a ROS 2 installation, what judges an advisor in our simulations, and what makes models for tests.
NOT_OF_PIP = {"nodes", "ros", "evaluation", "testing"}
LEARN = "from varl_agent import VARL; VARL('MlpPolicy', 'Pendulum-v1', learning_starts=900).learn(1000)"
NO_ROS = "import sys; sys.modules['rclpy'] = None; "


def run(*command: str | Path, **environment: str) -> str:
    alone = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PIP_CONSTRAINT")}
    done = subprocess.run(
        command, env=alone | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the packages: building one writes into its folder."""
    folder = tmp_path_factory.mktemp("sources")
    for name in PACKAGES:
        shutil.copytree(ROOT / "src" / name, folder / name, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    return folder


@pytest.fixture(scope="module")
def wheels(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder)
    run(*pip, *(sources / name for name in PACKAGES))
    return folder


def metadata(wheels: Path, name: str) -> Message:
    (wheel,) = wheels.glob(f"{name}-*.whl")
    with ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(path).decode())


def normal(distributions: Iterable[str]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name).lower() for name in distributions}


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_declares_what_it_imports(wheels: Path, name: str) -> None:
    found = metadata(wheels, name)
    lines = [line for line in found.get_all("Requires-Dist") or [] if 'extra == "test"' not in line]
    declared = normal(re.match(r"[\w.-]+", line).group() for line in lines)  # type: ignore[union-attr]
    folder, known = ROOT / "src" / name / name, packages_distributions()
    files = [file for file in folder.rglob("*.py") if not NOT_OF_PIP & set(file.relative_to(folder).parts)]
    modules = {module.partition(".")[0] for file in files for module in imports(file)} - set(sys.stdlib_module_names)
    for module in modules - {name, "varl_interfaces", "metaworld", "mujoco"}:
        ours = {module} if module in PACKAGES else set(known.get(module, [module]))
        # Part of another that is declared: pydantic_core of pydantic, llvmlite of numba.
        part = {"pydantic_core": "pydantic", "llvmlite": "numba"}.get(module)
        assert normal(ours) & declared or part in declared, f"{module} is imported and not declared"


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_an_index_shows(wheels: Path, name: str) -> None:
    found = metadata(wheels, name)
    assert found["License"] == "Apache-2.0"
    assert found["Description-Content-Type"] == "text/markdown"
    assert found.get_payload()
    (version,) = {re.search("<version>(.*)</version>", path.read_text())[1] for path in ROOT.glob("src/*/package.xml")}  # type: ignore[index]
    assert found["Version"] == version, "one version, in every package.xml"


@pytest.mark.parametrize("missing", ["", "numba"], ids=["with numba", "without numba"])
def test_it_learns_without_ros(wheels: Path, tmp_path: Path, missing: str) -> None:
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path, *wheels.glob("*.whl"))
    without = f"sys.modules[{missing!r}] = None; " if missing else ""
    run(sys.executable, "-c", f"{NO_ROS}{without}{LEARN}", PYTHONPATH=str(tmp_path), OMP_NUM_THREADS="1")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_into_an_empty_environment(sources: Path, tmp_path: Path) -> None:
    """As docs/releasing.md says: build, check, install with all that they need, and learn; then with numba, too."""
    venv.create(tmp_path / "venv", with_pip=True)
    python, dist = tmp_path / "venv/bin/python", tmp_path / "dist"
    pip = (python, "-m", "pip", "install", "--quiet")
    run(*pip, "torch==2.13.0")
    venv.create(tmp_path / "tools", with_pip=True)
    tools = tmp_path / "tools/bin/python"
    run(tools, "-m", "pip", "install", "--quiet", "build", "twine")
    for name in PACKAGES:
        run(tools, "-m", "build", "--outdir", dist, sources / name)
    assert "FAILED" not in run(tools, "-m", "twine", "check", "--strict", *dist.iterdir())
    run(*pip, "--find-links", dist, "varl_agent", "varl_vlm_advisor")
    assert "numba" not in run(python, "-m", "pip", "list")
    run(python, "-c", LEARN)
    run(*pip, "--find-links", dist, "varl_agent[fast]")
    run(python, "-c", f"{LEARN}.logger; import numba")
    run(python, "-c", "import varl_vlm_advisor.service.advisor")
