"""Landing → snapshot → split → prepared shards."""
