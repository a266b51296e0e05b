"""The maintenance of what is published: versions that nobody needs any more leave, and the tables stay small."""
