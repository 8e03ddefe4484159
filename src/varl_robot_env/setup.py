from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "varl_robot_env"

setup(
    name=NAME,
    version=ElementTree.parse("package.xml").findtext("version"),
    packages=find_packages(exclude=["test"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/gazebo", ["gazebo/varl_world.sdf", "gazebo/varl_arm.urdf.xacro"]),
        (f"share/{NAME}/urdf", ["urdf/varl_arm.urdf", "urdf/standin_ur5e.urdf"]),
    ],
    extras_require={"test": ["pytest"], "viewer": ["rerun-sdk"]},
    entry_points={
        "console_scripts": [
            f"env = {NAME}.nodes.env:main",
            f"simulator = {NAME}.nodes.simulator:main",
            f"gazebo = {NAME}.nodes.gazebo:main",
            f"realsense = {NAME}.nodes.realsense:main",
            f"markers = {NAME}.nodes.rviz_markers:main",
            f"perception = {NAME}.nodes.perception:main",
            f"calibrate = {NAME}.nodes.calibrate:main",
            f"viewer = {NAME}.nodes.viewer:main",
            f"train_classifier = {NAME}.success.command:run",
            f"check = {NAME}.nodes.check:main",
            f"find_limits = {NAME}.nodes.find_limits:main",
            f"camera_frames = {NAME}.nodes.camera_frames:main",
            f"standin_driver = {NAME}.standin.driver_node:main",
            f"standin_camera = {NAME}.standin.camera_node:main",
        ]
    },
    zip_safe=True,
    license="Apache-2.0",
    description="The robot as a Gymnasium environment.",
    maintainer="VARL maintainers",
    maintainer_email="maintainers@varl.invalid",
)
