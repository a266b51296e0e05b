"""What is agreed before anything is counted: payees, owners of videos, contracts; read from files, kept in versions."""
