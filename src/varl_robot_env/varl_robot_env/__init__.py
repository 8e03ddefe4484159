"""The robot as a Gymnasium environment: simulator, safety filter, tasks, the env node and its client."""
