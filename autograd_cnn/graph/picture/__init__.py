"""Pictures of a graph: folded, laid out as a ladder, drawn as SVG, DOT, Mermaid or through matplotlib."""
