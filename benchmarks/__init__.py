"""Measurements of speed and memory beside other programs. CONTRIBUTING.md says how to set up and run them.

Nothing here belongs to the package. What a contestant needs is imported when it is asked for, so that absent ones can
be told and the memory of each can be measured alone.
"""
