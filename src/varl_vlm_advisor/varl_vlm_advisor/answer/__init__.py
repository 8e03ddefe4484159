"""What a model said, as actions and plans."""
