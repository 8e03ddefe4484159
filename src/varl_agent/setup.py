from setuptools import find_packages, setup

NAME = "varl_agent"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={NAME: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "learner = varl_agent.nodes.commands:learner",
            "evaluate = varl_agent.nodes.commands:evaluate",
            "teleop = varl_agent.nodes.commands:teleop",
        ]
    },
    zip_safe=True,
    license="Apache-2.0",
    description="The VARL algorithm (a Stable-Baselines3 SAC) and the node that learns with it.",
    maintainer="VARL maintainers",
    maintainer_email="maintainers@varl.invalid",
)
