"""Landing and ingestion: files of a landing folder become originals in the store."""
