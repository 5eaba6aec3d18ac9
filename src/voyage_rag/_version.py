"""The version, in one place for the build and the package."""

__version__ = "0.1.0"
