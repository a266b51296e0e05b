"""The command `./viewledger sql`."""
