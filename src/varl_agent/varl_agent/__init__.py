"""VARL, Soft Actor-Critic with a vision-language model as action advisor, and the node that learns with it."""
