"""Stand-ins for what a test cannot have: a vision-language model, and a server that misbehaves on demand."""
