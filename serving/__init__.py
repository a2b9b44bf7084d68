"""The prediction service: follows the champion and answers over HTTP, with explanations."""
