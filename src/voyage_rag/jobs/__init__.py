"""What bulk and batch jobs share: reading inputs, atomic writes, locks and prices."""
