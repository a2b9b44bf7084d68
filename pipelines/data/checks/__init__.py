"""Great Expectations: what is checked, and the pages that show it."""
