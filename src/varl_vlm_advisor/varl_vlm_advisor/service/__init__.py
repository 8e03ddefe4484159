"""The advisor: cache, budget, retries and votes around a backend."""
