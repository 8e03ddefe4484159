"""Stand-ins for hardware, for tests and for trying the stack without an arm: never for anything else."""

import varl_common.host.uncaught  # noqa: F401 (before what may be missing)
