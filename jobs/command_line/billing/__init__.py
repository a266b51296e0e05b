"""The words of `./viewledger billing`, a file for each kind of noun."""
