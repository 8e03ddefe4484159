"""What docker/ and config/dds hold: it cannot be built here, so all that it names is checked against what there is."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from varl_common.host import latency

ROOT = Path(__file__).parents[1]
COMPOSE = sorted((ROOT / "docker").glob("compose.*.yaml"))
PROFILES = sorted((ROOT / "config" / "dds").glob("*.xml"))

# Keys of the compose specification that these files use; one that is misspelt is ignored without a word by no one.
SERVICE_KEYS = {
    "build", "cap_add", "command", "deploy", "device_cgroup_rules", "devices", "environment", "healthcheck", "image",
    "ipc", "network_mode", "ports", "profiles", "restart", "ulimits", "volumes",
}  # fmt: skip


def services(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["services"])


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_have_known_keys_and_images_that_the_dockerfile_makes(path: Path) -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    targets = re.findall(r"^FROM base AS (\w+)$", text, re.M)
    for name, service in services(path).items():
        assert set(service) <= SERVICE_KEYS, name
        image, _, tag = service["image"].partition(":")
        assert image != "varl" or tag in targets
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("../config"):
                assert (path.parent / source).exists(), volume


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_files_start_executables_and_parameters_that_exist(path: Path) -> None:
    for name, service in services(path).items():
        command = service["command"]
        if not isinstance(command, str) or not command.startswith("ros2 run"):
            continue
        package, executable = command.split()[2:4]
        scripts = re.sub(r"\{NAME\}", package, (ROOT / "src" / package / "setup.py").read_text(encoding="utf-8"))
        assert f"{executable} = " in scripts, name
        for file in re.findall(r"/(config/\S+?\.yaml)", command):
            assert "$" in file or (ROOT / file).exists(), file


def test_nothing_that_moves_an_arm_restarts_by_itself() -> None:
    assert all(service["restart"] == "no" for service in services(ROOT / "docker" / "compose.robot.yaml").values())


def test_the_env_node_may_be_served_first_and_keep_processors_awake() -> None:
    env = services(ROOT / "docker" / "compose.robot.yaml")["env"]
    assert env["cap_add"] == ["SYS_NICE"]
    assert env["ulimits"]["rtprio"] >= latency._PRIORITY
    assert latency._QUALITY_OF_SERVICE in env["devices"]


def test_the_image_has_the_messages_of_the_arms_or_says_where_they_come_from() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    installed = {name.replace("-", "_") for name in re.findall(r'"ros-\$\{ROS_DISTRO\}-([a-z0-9-]+)"', dockerfile)}
    keys = yaml.safe_load((ROOT / "requirements" / "rosdep.yaml").read_text(encoding="utf-8"))
    assert installed <= set(keys["ros"]), "looked up in rosdistro"
    ros_base = {"std_msgs", "geometry_msgs", "sensor_msgs"}
    compose = (ROOT / "docker" / "compose.robot.yaml").read_text(encoding="utf-8")
    robots = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "config" / "robots").glob("*.yaml"))
    packages = set(re.findall(r"\btype: (\w+)/msg/", robots))
    assert "ur_dashboard_msgs" in packages
    for package in packages - installed - ros_base:
        assert package in compose, f"{package} is neither in the image nor said to be in an overlay"


def test_the_dockerfile_is_made_of_instructions_and_leaves_no_package_lists() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", text, flags=re.M)).splitlines()
    known = {"ARG", "FROM", "SHELL", "RUN", "WORKDIR", "COPY", "ENV", "ENTRYPOINT", "CMD"}
    for line in filter(None, lines):
        assert line.split()[0] in known, line
        if "apt-get install" in line:
            assert (
                line.index("apt-get update") < line.index("apt-get install") < line.index("rm -rf /var/lib/apt/lists/*")
            )
            assert "--no-install-recommends" in line
    stages = {"base"}
    for line in lines:
        if found := re.match(r"FROM (\S+) AS (\w+)$", line):
            assert ":" in found[1] or found[1] in stages, "an image has a tag, or is a stage above"
            stages.add(found[2])


def test_scripts_are_valid_bash() -> None:
    subprocess.run(["bash", "-n", ROOT / "docker" / "entrypoint.sh"], check=True)


def test_the_devcontainer_builds_the_same_image() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "docker" / "Dockerfile"


def test_the_image_gets_what_the_dockerfile_copies() -> None:
    text = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    for source in re.findall(r"^COPY (\S+) ", text, re.M):
        assert (ROOT / source).exists(), source
    assert os.access(ROOT / "docker" / "entrypoint.sh", os.X_OK)


def test_udev_rules_are_key_value_lists_that_are_read_before_seats_are_made() -> None:
    (path,) = (ROOT / "docker").glob("*.rules")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert all(re.fullmatch(r'[A-Z]+(\{\w+\})?(==|=|\+=)"[^"]*"', part) for part in line.split(", ")), line
    assert "uaccess" in path.read_text(encoding="utf-8")
    assert path.name < "73-seat-late.rules", "which gives access to what is tagged uaccess by then"


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.name)
def test_transports_that_a_profile_uses_are_described(path: Path) -> None:
    name = "{http://www.eprosima.com}"
    root = ElementTree.parse(path).getroot()
    described = [item.findtext(f"{name}transport_id") for item in root.iter(f"{name}transport_descriptor")]
    used = [item.text for item in root.findall(f".//{name}userTransports/{name}transport_id")]
    assert used
    assert set(used) <= set(described)


LISTENER = """
import rclpy, sys
from sensor_msgs.msg import Image
rclpy.init()
node, got = rclpy.create_node("listener"), []
node.create_subscription(Image, "picture", got.append, 10)
print("ready", flush=True)
while not got:
    rclpy.spin_once(node, timeout_sec=0.1)
print(len(got[0].data), flush=True)
sys.stdin.readline()
"""
TALKER = """
import rclpy, sys, time
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("talker")
publisher = node.create_publisher(Image, "picture", 10)
message = Image(height=480, width=640, step=1920, encoding="rgb8")
message.data.frombytes(bytes(480 * 1920))
while True:
    publisher.publish(message)
    time.sleep(0.05)
"""


def test_several_hosts_find_each_other_without_multicast(domain: int, tmp_path: Path) -> None:
    profile = tmp_path / "several_hosts.xml"
    text = (ROOT / "config" / "dds" / "several_hosts.xml").read_text(encoding="utf-8")
    profile.write_text(re.sub(r"192\.168\.\d+\.\d+", "127.0.0.1", text), encoding="utf-8")
    environment = os.environ | {
        "FASTRTPS_DEFAULT_PROFILES_FILE": str(profile),
        "FASTDDS_DEFAULT_PROFILES_FILE": str(profile),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT",
        "ROS_DOMAIN_ID": str(domain),
    }
    start = {"env": environment, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    listener = subprocess.Popen([sys.executable, "-c", LISTENER], **start)  # type: ignore[call-overload]
    talker = subprocess.Popen([sys.executable, "-c", TALKER], **start)  # type: ignore[call-overload]
    try:
        assert listener.stdout.readline() == "ready\n"
        started = time.monotonic()
        assert listener.stdout.readline() == f"{480 * 1920}\n"
        assert time.monotonic() - started < 10
        multicast_port = 7400 + 250 * domain  # the RTPS specification's discovery port
        assert multicast_port not in udp_ports(listener.pid)
        assert multicast_port + 10 in udp_ports(listener.pid) | udp_ports(talker.pid), "unicast discovery"
    finally:
        for process in (talker, listener):
            process.kill()
            process.wait()


def udp_ports(pid: int) -> set[int]:
    """The UDP ports on which a process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        found = re.match(r"socket:\[(\d+)\]", os.readlink(descriptor))
        inodes |= {found[1]} if found else set()
    rows = [line.split() for line in Path(f"/proc/{pid}/net/udp").read_text().splitlines()[1:]]
    return {int(row[1].split(":")[1], 16) for row in rows if row[9] in inodes}
