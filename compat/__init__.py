"""LiteLLM's dialect: its configuration file and its two functions, understood as they are.

Owns the translation of ``config.yaml`` (`config`) and `image_generation` with its answer (`functions`). Must not route,
price or talk to AWS: it says everything in Lascaux's own words and lets the router do the rest.
"""
