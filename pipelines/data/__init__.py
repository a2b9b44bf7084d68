"""Landing → snapshot → split → prepared images."""
