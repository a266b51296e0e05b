"""What a request asks for: its parameters, checked."""
