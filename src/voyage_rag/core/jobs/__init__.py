"""Files and batches: flows like any other.

Source: docs.voyageai.com, "Batch Inference", and "Files" and "Batches" in the API reference.
"""
