"""A vision-language model as action advisor: shown transitions of a robot's past, what would it have done?"""
