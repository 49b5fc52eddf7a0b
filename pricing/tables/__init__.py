"""The price tables that ship with the package."""
