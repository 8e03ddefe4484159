"""Parts of the benchmark of real controllers: the driver that it starts, and what it records."""
