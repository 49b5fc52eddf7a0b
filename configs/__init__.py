"""Configurations to copy, and the JSON Schema that editors check them with."""
