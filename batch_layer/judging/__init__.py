"""From an archived message to its verdict, its billability and the derived counts."""
