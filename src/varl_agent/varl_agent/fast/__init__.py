"""The compiled update, an optional accelerator of ``sac``."""
