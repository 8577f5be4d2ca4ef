"""Pipelines as Prefect flows: the project's own server, runs as flow runs, deployments."""
