from setuptools import find_packages, setup

NAME = "varl_vlm_advisor"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={NAME: ["py.typed", "templates/*/*.md"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    entry_points={
        "console_scripts": [
            "advisor = varl_vlm_advisor.nodes.advisor:main",
            "advisor_eval = varl_vlm_advisor.evaluation.command:run",
        ],
        "varl_vlm_advisor.backends": [
            "none = varl_vlm_advisor.backends.none:NoneBackend",
            "openai = varl_vlm_advisor.backends.openai:OpenAIBackend",
            "replay = varl_vlm_advisor.backends.replay:ReplayBackend",
            "scripted = varl_vlm_advisor.backends.scripted:ScriptedBackend",
            "transformers = varl_vlm_advisor.backends.transformers:TransformersBackend",
        ],
    },
    zip_safe=True,
    license="Apache-2.0",
    description="A vision-language model as action advisor, and the node that serves it.",
    maintainer="VARL maintainers",
    maintainer_email="maintainers@varl.invalid",
)
