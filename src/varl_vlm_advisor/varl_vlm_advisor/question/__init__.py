"""What a model is asked: words, picture and the format of the answer."""
