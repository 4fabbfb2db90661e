"""Shows a recorded computation as a picture, as code, or as a page that steps through it.

The package imports the engine, never the other way round. It is loaded by the first ``t.graph()`` or `trace`.
"""
