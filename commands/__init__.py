"""One file for each `lm` command, named as it is typed; `output/` is what they print with. Nothing here decides
anything about training.
"""
