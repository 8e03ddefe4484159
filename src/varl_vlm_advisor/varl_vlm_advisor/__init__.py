"""A vision-language model as action advisor: shown moments of a robot's past, what would it have done?"""
