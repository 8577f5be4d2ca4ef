"""trunkline: versioned, data-driven ML pipelines on git, DVC and Parquet."""

__version__ = "0.4.0"

__all__ = ["__version__"]
