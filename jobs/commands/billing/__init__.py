"""The commands of `./viewledger billing`."""
