"""The declarations of `./viewledger billing`, a file for each kind of noun."""
