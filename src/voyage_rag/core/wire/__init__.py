"""Encode requests and decode responses, with a pair of functions per endpoint."""
