"""A ROS 2 package (colcon reads package.xml) and, without its nodes, one of pip's: docs/releasing.md."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "varl_agent"
HERE = Path(__file__).resolve().parent  # colcon builds in another folder, where setup.py is a link
MANIFEST = ElementTree.parse(HERE / "package.xml")  # the one place of version and description

setup(
    name=NAME,
    version=MANIFEST.findtext("version"),
    description=MANIFEST.findtext("description"),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(exclude=["test"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=[
        "gymnasium",
        "matplotlib",
        "numpy",
        "pillow",
        "pydantic>=2",
        "pyyaml",
        "rich",
        "safetensors",
        "stable-baselines3>=2.7",
        "torch",
        "varl_common",
    ],
    extras_require={
        "fast": ["numba", "scipy", "threadpoolctl"],
        "datasets": ["av", "h5py", "pyarrow", "rosbags"],
        "vision": ["transformers"],
        "export": ["onnx", "onnxruntime", "onnxscript"],
        "bench": ["gymnasium-robotics", "metaworld==3.1.1", "mujoco==3.3.0"],
        "test": ["pytest", "tensorboard"],
    },
    entry_points={
        "console_scripts": [
            "export = varl_agent.deployment.export:run",
            "collect = varl_agent.nodes.commands:collect",
            "learner = varl_agent.nodes.commands:learner",
            "dataset = varl_agent.datasets.command:run",
            "deploy = varl_agent.nodes.commands:deploy",
            "evaluate = varl_agent.nodes.commands:evaluate",
            "teleop = varl_agent.nodes.commands:teleop",
        ]
    },
    zip_safe=True,
    maintainer="VARL maintainers",
    maintainer_email="maintainers@varl.invalid",
)
