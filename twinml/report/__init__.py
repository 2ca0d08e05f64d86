"""Figures and pages from arrays and results. The only home of matplotlib."""
