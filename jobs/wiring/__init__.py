"""Connect the layers: give each port its implementation."""
