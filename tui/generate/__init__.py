"""The Generate screen and the panels only it uses."""
