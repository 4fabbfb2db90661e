"""A tape made visible: read into plain records, laid out as a ladder, written as SVG, DOT or code.

Reads the engine; nothing below imports it. Loaded when a picture is asked for: by ``t.graph()`` or `trace`.
"""
