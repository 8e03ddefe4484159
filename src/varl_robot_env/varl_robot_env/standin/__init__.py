"""Stand-ins for hardware, for tests and for trying the stack without an arm: never for anything else."""
