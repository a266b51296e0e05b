"""From settled views to bills: whose views they are, under which terms, and what they come to. Nothing is stored."""
