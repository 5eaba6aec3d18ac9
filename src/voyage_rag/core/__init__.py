"""Logic without I/O: nothing here sends, reads a clock or the environment, or knows a framework.

Clocks and random numbers are arguments, so that every decision can be tested without waiting.
"""
