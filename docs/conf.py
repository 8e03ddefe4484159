"""The site's configuration. Sources are all of the repository, so that links between its files stay as they are."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sphinx.ext.napoleon import docstring

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS), *(str(path) for path in (ROOT / "src").iterdir())]

from accessible import mend  # noqa: E402

project = "VARL"
author = "VARL maintainers"
html_title = "VARL"
root_doc = "docs/index"
include_patterns = ["docs/**", "benchmarks/results/advice/**", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = [
    ".*",
    "src",
    "tests",
    "runs",
    "build",
    "install",
    "log",
    "docs/_build",
    "docs/generators",
    "docs/generated/house.md",
]

extensions = ["myst_parser", "autoapi.extension", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "attrs_block", "attrs_inline", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["autoapi.python_import_resolution"]  # of modules that are imported where they are installed
napoleon_use_ivar = True
copybutton_exclude = ".linenos, .gp, .go"

# The source is read, not imported: that would need ROS 2, PyTorch and MuJoCo.
autoapi_dirs = [str(path) for path in sorted((ROOT / "src").glob("varl_*")) if (path / "setup.py").exists()]
autoapi_ignore = ["*/src/varl_*/test/*", "*/setup.py", "*/src/varl_*/build/*"]  # wherever the checkout is
autoapi_generate_api_docs = False
autoapi_python_class_content = "both"
# "Who answers, for people: ..." is prose, and no type to be told apart from a description.
docstring.GoogleDocstring._parse_attribute_docstring = docstring.GoogleDocstring._consume_to_end  # type: ignore[method-assign]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_redirect"]
html_show_sphinx = False
html_theme_options: dict[str, Any] = {"footer_icons": [], "top_of_page_buttons": []}
html_baseurl = ""


def setup(app: Any) -> None:
    """Draw the pages that are generated, before Sphinx looks for its sources; mend what it wrote."""
    app.connect("build-finished", lambda app, _: mend(Path(app.outdir)))
    folder = DOCS / "generated"
    made: dict[str, str] = {}
    for name in ("interfaces", "arguments", "parameters", "robots", "errors", "house"):
        made |= import_module(f"generators.{name}").pages(ROOT)
    for name, text in made.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:  # else Sphinx reads it anew
            file.write_text(text, encoding="utf-8")
    for file in folder.rglob("*"):
        if file.is_file() and str(file.relative_to(folder)) not in made:
            file.unlink()
