"""One file for each `lm` command, named as it is typed (`eval` is in evaluate.py); `input/` is what they are given,
`output/` what they print with. Nothing here decides anything about training.
"""
