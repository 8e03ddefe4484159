"""What is to be learned, and scripted experts for it."""
