"""From settled views to bills: whose views they are, under which terms, and the amounts. Stores nothing."""
