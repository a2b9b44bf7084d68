"""From evaluated candidates to a champion: bundle, selection, gate, canary, registry."""
