"""Judging an advisor on labelled states before it is trusted with an arm."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
