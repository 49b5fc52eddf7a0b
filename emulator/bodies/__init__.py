"""What each family's bodies may say: one module per family, from a JSON object to a job."""
