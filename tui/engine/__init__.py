"""A process beside the screen that computes with torch, so that neither its imports, its memory nor its crashes touch
the screen.
"""
