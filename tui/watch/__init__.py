"""The Watch screen and the panels only it uses."""
