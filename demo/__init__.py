"""The demonstration: real data for the pipeline `flights`, and what `make run` shows with it."""
