"""What a program asks of the machine that it runs on: a DDS domain, shared memory, processors that respond at once, a
folder that no other run has begun in."""
