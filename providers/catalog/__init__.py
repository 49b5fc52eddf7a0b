"""What each model on Bedrock can do, as data."""
