"""Success from pictures: moments that are labelled, kept and learned from."""
