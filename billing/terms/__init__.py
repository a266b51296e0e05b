"""The agreements: payees, owners of videos, contracts; read from files, kept in versions."""
