"""Campaigns: thousands of documents, calls and callers under faults, whose requests are counted.

`make chaos` runs the long forms; the tests beside these files run short ones.
"""
