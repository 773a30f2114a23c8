"""The Compare screen and the panels only it uses."""
