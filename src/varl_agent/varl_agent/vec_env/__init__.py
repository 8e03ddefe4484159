"""Several robots as one Stable-Baselines3 environment."""
