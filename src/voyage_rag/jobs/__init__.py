"""Shared infrastructure of bulk and batch jobs: reading inputs, atomic writes, locks and prices."""
