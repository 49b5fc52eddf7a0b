"""Which deployment, how often, and what if it fails.

Owns: configuration, planning, the attempt loop, health, retries, cache, telemetry. Must not talk to AWS (providers do) nor
know what things cost (pricing does).
"""
