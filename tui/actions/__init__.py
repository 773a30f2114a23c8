"""Every action of the screens, declared once; the manual's list of keys is made from it."""
