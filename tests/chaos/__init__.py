"""Campaigns: thousands of documents, calls and callers under faults, with accounts kept.

`make chaos` runs the long forms; the tests beside these files run short ones.
"""
