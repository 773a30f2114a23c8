"""Curves in a terminal: pure functions from numbers to cells, without Textual.

`plot.draw` is the one way in: it drops non-finite values, takes the logarithm itself, and reduces each curve to what
the visible width can show before anything is drawn.
"""
