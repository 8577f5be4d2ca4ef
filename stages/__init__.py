"""The stages of the pipelines in `pipelines/`: plain functions, importable and testable without trunkline."""
