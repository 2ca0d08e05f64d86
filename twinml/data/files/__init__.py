"""Formats: each reader turns bytes into ``Columns`` and gives them no meaning."""
