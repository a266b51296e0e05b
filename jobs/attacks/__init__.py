"""What somebody could try, tried for real: forged input, and every role of the database against everything in it."""
