"""What happened: results by datum key, and the records of runs. Knows neither git nor the store."""
