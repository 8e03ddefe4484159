"""Teaching a model to advise: scenes, the right answers to the questions about them, and the training."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
