"""Flows for files and batches.

Source: docs.voyageai.com, "Batch Inference", and "Files" and "Batches" in the API reference.
"""
