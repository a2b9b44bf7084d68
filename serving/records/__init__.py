"""What is written down of answers, off the request path: the audit log, samples for monitoring."""
