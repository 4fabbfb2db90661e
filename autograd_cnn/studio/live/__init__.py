"""A page that runs the engine in the browser: an editor, and the player of the program in it."""
