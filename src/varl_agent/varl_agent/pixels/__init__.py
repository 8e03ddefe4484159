"""Learning from pictures: features of a frozen tower beside the state, or convolutions that are learned."""
