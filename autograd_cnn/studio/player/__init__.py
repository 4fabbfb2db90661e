"""Writes the player, one HTML page that steps through a network, forward and backward."""
