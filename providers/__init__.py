"""One upstream call, and what each model can do.

Owns: types, errors, parameter names, the catalogue, and (in `bedrock`) wire formats, credentials and transport. Must not
know that there is a router, nor what anything costs.
"""
