"""Logic without I/O: nothing here sends, reads a clock or the environment, or knows a framework.

Time and chance come in as arguments, so that every decision can be tested without waiting.
"""
