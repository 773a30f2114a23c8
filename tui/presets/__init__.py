"""The Presets screen and the panels only it uses."""
