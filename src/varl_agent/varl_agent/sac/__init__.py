"""The algorithm: VARL, its policies, gates and cutoffs."""
