"""VARL, Soft Actor-Critic with a vision-language model as action advisor, and the node that learns with it."""

from varl_agent.openblas import choose_core_type

choose_core_type()
