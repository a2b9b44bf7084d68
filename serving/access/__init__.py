"""Who may ask, how often, and what a browser is told: the gate around all the service answers."""
