"""What Prefect imports to run a deployment."""
