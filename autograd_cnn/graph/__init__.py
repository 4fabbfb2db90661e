"""A tape made visible: traced into plain records, laid out, written as SVG or DOT. Reads the engine; nothing imports it.

Nothing here is loaded before a picture is asked for: by ``t.graph()``, or by `trace`.
"""
