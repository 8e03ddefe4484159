"""A ROS 2 package (colcon reads package.xml) and, without its nodes, one of pip's: docs/releasing.md."""

from pathlib import Path
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = "varl_vlm_advisor"
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
    package_data={NAME: ["py.typed", "templates/*/*.md", "models/*/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=[
        "numpy",
        "opencv-python-headless",
        "pydantic>=2",
        "tenacity",
        "varl_common",
    ],
    extras_require={
        "openai": ["openai"],
        "transformers": ["jinja2", "llguidance", "pillow", "tokenizers", "torch", "transformers"],
        "train": [
            "accelerate",
            "jinja2",
            "llguidance",
            "matplotlib",
            "peft",
            "pillow",
            "tokenizers",
            "torch",
            "tqdm",
            "transformers",
            "varl_agent",
        ],
        "test": ["pytest"],
    },
    entry_points={
        "console_scripts": [
            "advisor = varl_vlm_advisor.nodes.advisor:main",
            "advisor_eval = varl_vlm_advisor.evaluation.command:run",
            "advisor_train = varl_vlm_advisor.training.command:run",
        ],
        "varl_vlm_advisor.backends": [
            "none = varl_vlm_advisor.backends.none:NoneBackend",
            "openai = varl_vlm_advisor.backends.openai:OpenAIBackend",
            "replay = varl_vlm_advisor.backends.replay:ReplayBackend",
            "scripted = varl_vlm_advisor.backends.scripted:ScriptedBackend",
            "sight = varl_vlm_advisor.backends.sight:SightBackend",
            "transformers = varl_vlm_advisor.backends.transformers:TransformersBackend",
        ],
    },
    zip_safe=True,
    maintainer="VARL maintainers",
    maintainer_email="maintainers@varl.invalid",
)
