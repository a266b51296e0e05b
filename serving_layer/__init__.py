"""The merge of settled and provisional counts, and the API that serves it."""
